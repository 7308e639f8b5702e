// Package operator owns who runs a realm: which principals are operators, with
// which role, and how the very first one comes to be.
//
// It knows nothing of HTTP. The admin API asks it once per request, from
// memory; the set-up page asks it to make the first administrator.
package operator

import (
	"time"
)

// Operator is a principal who may use the admin API of its realm.
type Operator struct {
	Realm     string
	Principal string
	Role      Role
	Version   int64
	Created   time.Time
	Updated   time.Time
}
