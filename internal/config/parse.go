package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/secret"
)

// Rate is a number of requests per duration. The zero Rate allows nothing.
type Rate struct {
	Count int
	Per   time.Duration
}

// String is the form in which a rate is written: 120/1m.
func (r Rate) String() string { return strconv.Itoa(r.Count) + "/" + shortDuration(r.Per) }

// PerSecond is the rate as events per second.
func (r Rate) PerSecond() float64 {
	if r.Per <= 0 {
		return 0
	}
	return float64(r.Count) / r.Per.Seconds()
}

// shortDuration writes 1m rather than 1m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseRate(text string) (Rate, error) {
	n, per, ok := strings.Cut(text, "/")
	count, err := strconv.Atoi(strings.TrimSpace(n))
	if !ok || err != nil || count < 1 || count > 1_000_000_000 {
		return Rate{}, fmt.Errorf("want a count and a duration such as 120/1m")
	}
	per = strings.TrimSpace(per)
	if per != "" && (per[0] < '0' || per[0] > '9') {
		per = "1" + per
	}
	d, err := time.ParseDuration(per)
	if err != nil || d < time.Second || d > 24*time.Hour {
		return Rate{}, fmt.Errorf("want a count and a duration from 1s to 24h such as 120/1m")
	}
	return Rate{Count: count, Per: d}, nil
}

// set parses text into v. Errors say what form is wanted and never repeat the
// text, which may be a secret.
func set(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = text
	case *secret.Text:
		*p = secret.Text(text)
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("want true or false")
		}
		*p = b
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("want a whole number")
		}
		*p = n
	case *time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("want a duration such as 10s or 5m")
		}
		*p = d
	case *Rate:
		r, err := parseRate(text)
		if err != nil {
			return err
		}
		*p = r
	case *[]netip.Prefix:
		list, err := parsePrefixes(splitList(text))
		if err != nil {
			return err
		}
		*p = list
	case *[]string:
		*p = splitList(text)
	default:
		return fmt.Errorf("settings of type %s cannot be read", v.Type())
	}
	return nil
}

func splitList(text string) []string {
	var out []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func parsePrefixes(items []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for i, item := range items {
		p, err := netip.ParsePrefix(item)
		if err != nil {
			a, aerr := netip.ParseAddr(item)
			if aerr != nil {
				return nil, fmt.Errorf("network %d: want an address or CIDR such as 10.0.0.0/8", i+1)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("network %d would believe everybody", i+1)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// text writes v as set would read it.
func text(v reflect.Value) string {
	switch p := v.Interface().(type) {
	case secret.Text:
		return string(p)
	case time.Duration:
		return shortDuration(p)
	case []netip.Prefix:
		parts := make([]string, len(p))
		for i, x := range p {
			parts[i] = x.String()
		}
		return strings.Join(parts, ",")
	case []string:
		return strings.Join(p, ",")
	default:
		return fmt.Sprint(p)
	}
}
