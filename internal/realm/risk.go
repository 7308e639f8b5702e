package realm

import "regexp"

// Risk is what a realm does about what looks wrong, by detector: off, inform,
// step_up, slow, lock or revoke. Package risk says what each means.
type Risk struct {
	Stuffing, Spraying, NewDevice, NewCountry, Travel string
	Dormant, Reuse, KeyChange, Counter, Suspended     string
}

var riskActions = regexp.MustCompile(`^(off|inform|step_up|slow|lock|revoke)$`)

// riskFields are the settings of Risk; "risk_" and the name of the detector.
var riskFields = []Field{
	risk("credential_stuffing", "slow", "a network that tries leaked passwords at many accounts", func(s *Settings) *string { return &s.Risk.Stuffing }),
	risk("password_spraying", "inform", "one wrong password that is tried at many accounts", func(s *Settings) *string { return &s.Risk.Spraying }),
	risk("new_device", "inform", "a browser that has not signed in to the account before", func(s *Settings) *string { return &s.Risk.NewDevice }),
	risk("new_country", "inform", "a new browser in a country that is new for the person, by geoip.file", func(s *Settings) *string { return &s.Risk.NewCountry }),
	risk("impossible_travel", "inform", "a new browser in a place that the person cannot have reached, by geoip.file", func(s *Settings) *string { return &s.Risk.Travel }),
	risk("dormant_account", "inform", "a new browser at an account that nobody has used for long", func(s *Settings) *string { return &s.Risk.Dormant }),
	risk("refresh_reuse", "inform", "a refresh token that two parties hold", func(s *Settings) *string { return &s.Risk.Reuse }),
	risk("key_change", "inform", "a refresh token that comes with another key than its own", func(s *Settings) *string { return &s.Risk.KeyChange }),
	risk("passkey_counter", "inform", "a passkey whose counter went back", func(s *Settings) *string { return &s.Risk.Counter }),
	risk("suspended_account", "inform", "tries at a suspended account", func(s *Settings) *string { return &s.Risk.Suspended }),
}

func risk(detector, def, help string, at func(*Settings) *string) Field {
	return Field{Name: "risk_" + detector, Help: "What is done about " + help + ".", Kind: "text", Default: def,
		pattern: riskActions, text: at}
}

// Action is what is done about a detector's findings, or "" if there is no such
// detector.
func (r Risk) Action(detector string) string {
	s := Settings{Risk: r}
	for _, f := range riskFields {
		if f.Name == "risk_"+detector {
			return *f.text(&s)
		}
	}
	return ""
}
