package credential

import (
	"strings"
	"testing"
	"time"
)

// RFC 6238, appendix B, with the keys of its errata: as long as the hash.
func TestTOTPAgainstTheVectorsOfTheRFC(t *testing.T) {
	keys := map[string]string{"SHA1": strings.Repeat("1234567890", 2), "SHA256": strings.Repeat("1234567890", 4)[:32], "SHA512": strings.Repeat("1234567890", 7)[:64]}
	for at, codes := range map[int64][3]string{
		59:          {"94287082", "46119246", "90693936"},
		1111111109:  {"07081804", "68084774", "25091201"},
		1111111111:  {"14050471", "67062674", "99943326"},
		1234567890:  {"89005924", "91819424", "93441116"},
		2000000000:  {"69279037", "90698825", "38618901"},
		20000000000: {"65353130", "77737706", "47863826"},
	} {
		for i, algorithm := range []string{"SHA1", "SHA256", "SHA512"} {
			if got := hotp(totpHashes[algorithm], []byte(keys[algorithm]), at/30, 8); got != codes[i] {
				t.Errorf("%s at %d: %s, want %s", algorithm, at, got, codes[i])
			}
		}
	}
}

// RFC 4226, appendix D.
func TestHOTPAgainstTheVectorsOfTheRFC(t *testing.T) {
	for i, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if got := hotp(totpHashes["SHA1"], []byte("12345678901234567890"), int64(i), 6); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
}

// MF-02: the steps before and after, no others. Widen totpWindow to see it fail.
func TestTheWindowOfStepsIsOneEachWay(t *testing.T) {
	key, now := []byte("12345678901234567890"), time.Unix(1_700_000_010, 0)
	for away := int64(-4); away <= 4; away++ {
		code := hotp(totpHashes["SHA1"], key, now.Unix()/30+away, totpDigits)
		_, ok := totp{Algorithm: "SHA1"}.match(key, code, now, 0)
		if want := away >= -1 && away <= 1; ok != want {
			t.Errorf("%d steps away: accepted %v, want %v", away, ok, want)
		}
	}
}

func TestCodesAreReadAsPeopleTypeThem(t *testing.T) {
	for typed, want := range map[string]string{"123456": "123456", " 123 456\t": "123456", "123-456": "123456", "１２３４５６": "123456", "123\u00a0456": "123456",
		"12345a": "", "+23456": "", "١٢٣٤٥٦": "", "": "", strings.Repeat(" ", 70) + "123456": "", "123456\x00": ""} {
		if got := plainCode(typed); got != want {
			t.Errorf("%q is read as %q, want %q", typed, got, want)
		}
	}
}
