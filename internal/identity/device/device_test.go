package device

import "testing"

func TestDevicesAreRecognised(t *testing.T) {
	for agent, want := range map[string]Device{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                         {"Chrome", "Windows", "computer"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0":           {"Edge", "Windows", "computer"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15":                   {"Safari", "macOS", "computer"},
		"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0":                                                                  {"Firefox", "Linux", "computer"},
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                          {"Chrome", "ChromeOS", "computer"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1": {"Safari", "iPhone", "phone"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0 Mobile/15E148 Safari/604.1":  {"Chrome", "iPhone", "phone"},
		"Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/132.0 Mobile/15E148 Safari/605.1.15":        {"Firefox", "iPad", "tablet"},
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36":     {"Samsung Internet", "Android", "phone"},
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":                                {"Chrome", "Android", "tablet"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 OPR/116.0.0.0":     {"Opera", "macOS", "computer"},
		"Mozilla/5.0 (Linux; U; Android 4.0.3; de-de) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30":                    {"Safari", "Android", "phone"},
		"curl/8.5.0": {"curl", "", "program"},
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/1": {"", "macOS", "computer"},
		"": {}, "something <script>": {},
	} {
		if got := Of(agent); got != want {
			t.Errorf("%s\nis %+v, want %+v", agent, got, want)
		}
	}
}

func TestDevicesHaveWords(t *testing.T) {
	say := func(key string, args ...any) string {
		if key == "device.both" {
			return args[1].(string) + " on " + args[3].(string)
		}
		return key
	}
	for want, d := range map[string]Device{"Firefox on Linux": {Browser: "Firefox", System: "Linux"}, "curl": {Browser: "curl"}, "macOS": {System: "macOS"}, "device.unknown": {}} {
		if got := d.Words(say); got != want {
			t.Errorf("%+v is %q, want %q", d, got, want)
		}
	}
}
