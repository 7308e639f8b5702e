package risk

import "github.com/cardea-id/cardea/internal/identity/device"

// Device names the kind of browser behind a User-Agent header, as people do,
// such as "Firefox on Linux".
func Device(agent string) string {
	d := device.Of(agent)
	switch {
	case d.Browser == "" && d.System == "":
		return "another device"
	case d.Browser == "":
		return d.System
	case d.System == "":
		return d.Browser
	}
	return d.Browser + " on " + d.System
}
