package risk

import "strings"

// Device names the kind of browser behind a User-Agent header, as people do,
// such as "Firefox on Linux".
func Device(agent string) string {
	browser, system := firstOf(agent, browsers), firstOf(agent, systems)
	switch {
	case browser == "" && system == "":
		return "another device"
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + " on " + system
}

// Browsers call themselves by the names of others too, so the order matters.
var (
	browsers = [][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"},
		{"CriOS", "Chrome"}, {"Chrome", "Chrome"}, {"Safari", "Safari"}, {"curl", "curl"}, {"cardea/", "Cardea"}}
	systems = [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}}
)

func firstOf(text string, names [][2]string) string {
	for _, n := range names {
		if strings.Contains(text, n[0]) {
			return n[1]
		}
	}
	return ""
}
