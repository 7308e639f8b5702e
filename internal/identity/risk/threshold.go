package risk

import "time"

// thresholds are what detectors compare with. They were chosen on one half of
// the simulator's seeds and are reported on the other: see
// docs/security/risk-report.md.
type thresholds struct {
	stuffingAccounts int     // accounts that a network failed at without ever succeeding …
	stuffingShare    float64 // … and their share of all accounts that it tried
	sprayAccounts    int     // accounts at which one wrong password was tried …
	sprayExcess      float64 // … which is so many times what chance explains
	deviceStrict     bool    // a new device must be of a kind that is new to the person
	travelKilometres float64
	travelSpeed      float64 // kilometres an hour
	dormant          time.Duration
	suspendedTries   int  // wrong passwords at a suspended account
	reuseUnused      bool // also reuse while nobody had used the successor
}

// frozen are the thresholds in force.
var frozen = thresholds{
	stuffingAccounts: 5,
	stuffingShare:    0.7,
	sprayAccounts:    8,
	sprayExcess:      4,
	deviceStrict:     false,
	travelKilometres: 300,
	travelSpeed:      600,
	dormant:          120 * 24 * time.Hour,
	suspendedTries:   2,
	reuseUnused:      false,
}
