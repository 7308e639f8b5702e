package geo

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mmdb writes a MaxMind DB of IPv4 networks as the format's specification has
// it: a binary tree of 24-bit records, 16 zero bytes, the data, the metadata.
func mmdb(kind string, networks map[string][]byte) []byte {
	type node [2]int // > 0: node; < 0: data at -x-1; 0: nothing
	nodes := []node{{}}
	var data bytes.Buffer
	for network, value := range networks {
		p := netip.MustParsePrefix(network)
		at := data.Len()
		data.Write(value)
		bits, here := p.Addr().As4(), 0
		for i := range p.Bits() {
			bit := int(bits[i/8]>>(7-i%8)) & 1
			if i == p.Bits()-1 {
				nodes[here][bit] = -at - 1
				break
			}
			if nodes[here][bit] == 0 {
				nodes = append(nodes, node{})
				nodes[here][bit] = len(nodes) - 1
			}
			here = nodes[here][bit]
		}
	}
	var out bytes.Buffer
	for _, n := range nodes {
		for _, x := range n {
			v := uint32(len(nodes))
			switch {
			case x > 0:
				v = uint32(x)
			case x < 0:
				v = uint32(len(nodes) + 16 - x - 1)
			}
			out.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	number := func(n int) []byte { return binary.BigEndian.AppendUint32([]byte{6<<5 | 4}, uint32(n)) }
	out.Write(object("binary_format_major_version", []byte{5<<5 | 1, 2}, "binary_format_minor_version", []byte{5 << 5},
		"build_epoch", []byte{0<<5 | 1, 2, 1}, "database_type", text(kind), "description", object(), "ip_version", []byte{5<<5 | 1, 4},
		"languages", []byte{0, 4}, "node_count", number(len(nodes)), "record_size", []byte{5<<5 | 1, 24}))
	return out.Bytes()
}

func text(s string) []byte {
	if len(s) < 29 {
		return append([]byte{2<<5 | byte(len(s))}, s...)
	}
	return append([]byte{2<<5 | 29, byte(len(s) - 29)}, s...)
}

func object(pairs ...any) []byte {
	out := []byte{7<<5 | byte(len(pairs)/2)}
	for i := 0; i < len(pairs); i += 2 {
		out = append(append(out, text(pairs[i].(string))...), pairs[i+1].([]byte)...)
	}
	return out
}

func double(f float64) []byte {
	var b bytes.Buffer
	b.WriteByte(3<<5 | 8)
	_ = binary.Write(&b, binary.BigEndian, f)
	return b.Bytes()
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "places.mmdb")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustOpen(t *testing.T, content []byte) *File {
	t.Helper()
	f, err := Open(write(t, content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFilesOfSeveralMakersAreUnderstood(t *testing.T) {
	city := mustOpen(t, mmdb("City", map[string][]byte{
		"192.0.2.0/24":    object("country", object("iso_code", text("FR")), "location", object("latitude", double(48.8), "longitude", double(2.3))),
		"198.51.100.0/24": object("registered_country", object("iso_code", text("JP"))),
	}))
	plain := mustOpen(t, mmdb("ip-to-country", map[string][]byte{"203.0.113.0/24": object("country_code", text("BR"))}))
	for _, c := range []struct {
		file    *File
		address string
		want    Place
	}{
		{city, "192.0.2.77", Place{"FR", 48.8, 2.3, true}},
		{city, "::ffff:192.0.2.77", Place{"FR", 48.8, 2.3, true}},
		{city, "198.51.100.1", Place{Country: "JP"}},
		{city, "10.0.0.1", Place{}},
		{city, "2001:db8::1", Place{}},
		{plain, "203.0.113.9", Place{Country: "BR"}},
		{nil, "203.0.113.9", Place{}},
	} {
		if got := c.file.Place(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.address, got, c.want)
		}
	}
	if got := city.Place(netip.Addr{}); got != (Place{}) {
		t.Errorf("no address is at %+v", got)
	}
}

func TestDistancesAreTheLeastThatCanBe(t *testing.T) {
	f := mustOpen(t, mmdb("x", map[string][]byte{"192.0.2.0/24": object("country_code", text("DE"))}))
	for _, c := range []struct {
		name       string
		a, b       Place
		from, upTo float64
	}{
		{"Paris and Berlin", Place{"FR", 48.86, 2.35, true}, Place{"DE", 52.52, 13.4, true}, 870, 885},
		{"countries only", Place{Country: "DE"}, Place{Country: "AU"}, 10_000, 16_000},
		{"neighbours lie close", Place{Country: "DE"}, Place{Country: "CH"}, 0, 700},
		{"within a country without coordinates", Place{Country: "US"}, Place{Country: "US", Lat: 40, Lon: -74, Exact: true}, 0, 0},
		{"nowhere known", Place{}, Place{Country: "US"}, 0, 0},
		{"a country that there is not", Place{Country: "ZZ"}, Place{Country: "US"}, 0, 0},
	} {
		if got := f.Kilometres(c.a, c.b); got < c.from || got > c.upTo {
			t.Errorf("%s: %.0f km, want %.0f to %.0f", c.name, got, c.from, c.upTo)
		}
	}
}

func TestWhatIsNoFileOfCountriesIsRefused(t *testing.T) {
	asn := mmdb("ASN", map[string][]byte{"192.0.2.0/24": object("autonomous_system_organization", text("Example"))})
	for name, path := range map[string]string{
		"holds no countries":        write(t, asn),
		"is not a MaxMind DB file":  write(t, []byte("not a database")),
		"is not a MaxMind DB file:": filepath.Join(t.TempDir(), "missing"),
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(name, ":")) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}
