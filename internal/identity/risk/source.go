package risk

import "time"

// source is what unknown browsers of one network tried lately.
type source struct {
	Tries []try            `json:"tries,omitempty"` // newest last
	Told  map[string]int64 `json:"told,omitempty"`
}

// try is one password at one account.
type try struct {
	At  int64  `json:"at"`
	Who uint32 `json:"who"` // keyed hash of the account
	OK  bool   `json:"ok,omitempty"`
}

const (
	maxTries  = 64
	triesFor  = time.Hour
	echoFor   = 24 * time.Hour
	maxEchoes = 48
)

// note remembers a try.
func (s *source) note(now time.Time, who uint32, ok bool) {
	s.Tries = append(s.Tries, try{now.UnixMilli(), who, ok})
	for len(s.Tries) > maxTries || s.Tries[0].At < now.Add(-triesFor).UnixMilli() {
		s.Tries = s.Tries[1:]
	}
}

// accounts counts those that never opened within the window, and all.
func (s *source) accounts(now time.Time) (failed, all int) {
	opened := map[uint32]bool{}
	for _, t := range s.Tries {
		if t.At >= now.Add(-triesFor).UnixMilli() {
			opened[t.Who] = opened[t.Who] || t.OK
		}
	}
	for _, ok := range opened {
		if !ok {
			failed++
		}
	}
	return failed, len(opened)
}

func (s *source) again(now time.Time, detector string) bool {
	p := person{Told: s.Told}
	ok := p.again(now, detector)
	s.Told = p.Told
	return ok
}

// echo is which accounts the wrong passwords of one hash were tried at today. So
// many passwords share a hash that it tells next to nothing about any.
type echo struct {
	Who []uint32 `json:"who"`
}

// note remembers an account, and reports whether it is one more.
func (e *echo) note(who uint32) bool {
	for _, w := range e.Who {
		if w == who {
			return false
		}
	}
	if len(e.Who) >= maxEchoes {
		return false
	}
	e.Who = append(e.Who, who)
	return true
}

func (e *echo) accounts() int { return len(e.Who) }
