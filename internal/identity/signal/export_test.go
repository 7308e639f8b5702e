package signal

import "time"

// AskAgain shortens how long a credential is believed.
func (s *Server) AskAgain(d time.Duration) { s.again = d }
