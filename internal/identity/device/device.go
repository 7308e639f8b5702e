// Package device reads what a browser says it is, for people to recognise their
// own devices by. A browser says what it likes, so nothing is decided by it.
package device

import "strings"

// Device is a browser on a system.
type Device struct {
	Browser string // a name, "" if it is none that we know
	System  string
	Kind    string // phone, tablet, computer, program; "" is unknown
}

// mark is a word of a User-Agent header, and what it tells.
type mark struct{ word, name string }

// browsers are asked in this order: most of them also say that they are Safari,
// and many that they are Chrome.
var browsers = []mark{
	{"Edg", "Edge"}, {"OPR/", "Opera"}, {"OPT/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"}, {"YaBrowser/", "Yandex"},
	{"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"}, {"FxiOS/", "Firefox"}, {"Focus/", "Firefox Focus"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"},
	{"HeadlessChrome/", "Chrome"}, {"Chrome/", "Chrome"}, {"Chromium/", "Chromium"}, {"Epiphany/", "GNOME Web"}, {"Version/", "Safari"},
}

// systems are asked in this order: Android says that it is Linux, iPads and
// iPhones that they are like Mac OS X, and a TV may say anything.
var systems = []mark{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"iPod", "iPod"}, {"Windows", "Windows"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Macintosh", "macOS"},
	{"Mac OS X", "macOS"}, {"FreeBSD", "FreeBSD"}, {"OpenBSD", "OpenBSD"}, {"Linux", "Linux"}, {"X11", "Unix"},
}

// programs speak for no browser. What they are called begins the header.
var programs = []mark{
	{"curl/", "curl"}, {"Wget/", "Wget"}, {"Go-http-client/", "Go"}, {"python-requests/", "Python"}, {"Python-urllib/", "Python"}, {"okhttp/", "OkHttp"},
	{"cardea", "cardea"}, {"Java/", "Java"}, {"PostmanRuntime/", "Postman"}, {"node", "Node.js"},
}

// mostRead is how much of a header is looked at.
const mostRead = 400

// Of reads a User-Agent header.
func Of(agent string) Device {
	if len(agent) > mostRead {
		agent = agent[:mostRead]
	}
	for _, m := range programs {
		if strings.HasPrefix(agent, m.word) {
			return Device{Browser: m.name, Kind: "program"}
		}
	}
	d := Device{Browser: first(browsers, agent), System: first(systems, agent)}
	if d.Browser == "Safari" && !strings.Contains(agent, "Safari/") {
		d.Browser = ""
	}
	d.Kind = kind(d.System, agent)
	return d
}

// kind is what sort of device a system runs on. Android tablets are those that
// do not say Mobile.
func kind(system, agent string) string {
	switch system {
	case "":
		return ""
	case "iPhone", "iPod":
		return "phone"
	case "iPad":
		return "tablet"
	case "Android":
		if strings.Contains(agent, "Mobile") {
			return "phone"
		}
		return "tablet"
	}
	if strings.Contains(agent, "Windows Phone") {
		return "phone"
	}
	return "computer"
}

func first(marks []mark, agent string) string {
	for _, m := range marks {
		if strings.Contains(agent, m.word) {
			return m.name
		}
	}
	return ""
}

// Words are the device in a language, whose T is t.
func (d Device) Words(t func(key string, args ...any) string) string {
	switch {
	case d.Browser != "" && d.System != "":
		return t("device.both", "browser", d.Browser, "system", d.System)
	case d.Browser != "":
		return d.Browser
	case d.System != "":
		return d.System
	}
	return t("device.unknown")
}
