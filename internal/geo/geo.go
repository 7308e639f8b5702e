// Package geo says in which country an address is, from a file that the
// operator brought. Without one nothing is known, and nothing is guessed.
package geo

import (
	_ "embed"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Place is where an address is, as well as the file knows. The zero Place is
// nowhere that is known.
type Place struct {
	Country  string // ISO 3166-1, two capital letters
	Lat, Lon float64
	Exact    bool // Lat and Lon are known
}

// File is an open MaxMind DB file with countries, and maybe coordinates. A nil
// File knows no place.
type File struct {
	reader    *maxminddb.Reader
	countries map[string][]point
}

type point struct{ lat, lon float64 }

//go:embed countries.txt
var countries string

// Open opens a file in the MaxMind DB format. Files of MaxMind and DB-IP, and
// those that have nothing but country_code, are understood.
func Open(path string) (*File, error) {
	reader, err := maxminddb.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a MaxMind DB file: %w", path, err)
	}
	known, err := readCountries(countries)
	if err != nil {
		return nil, err
	}
	f := &File{reader: reader, countries: known}
	if !f.hasCountries() {
		_ = reader.Close()
		return nil, fmt.Errorf("%s holds no countries (its type is %q)", path, reader.Metadata.DatabaseType)
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.reader.Close() }

// hasCountries looks at the first networks of the file, since what it is called
// says little.
func (f *File) hasCountries() bool {
	looked := 0
	for result := range f.reader.Networks(maxminddb.SkipEmptyValues()) {
		if country(result) != "" {
			return true
		}
		if looked++; looked == 1000 {
			break
		}
	}
	return false
}

// Place looks an address up.
func (f *File) Place(a netip.Addr) Place {
	if f == nil || !a.IsValid() {
		return Place{}
	}
	found := f.reader.Lookup(a.Unmap())
	if !found.Found() {
		return Place{}
	}
	p := Place{Country: country(found)}
	var lat, lon *float64
	if found.DecodePath(&lat, "location", "latitude") == nil && found.DecodePath(&lon, "location", "longitude") == nil && lat != nil && lon != nil {
		p.Lat, p.Lon, p.Exact = *lat, *lon, math.Abs(*lat) <= 90 && math.Abs(*lon) <= 180
	}
	if p.Country == "" {
		return Place{}
	}
	return p
}

// country reads the code of a country from wherever such files have it.
func country(r maxminddb.Result) string {
	for _, path := range [][]any{{"country", "iso_code"}, {"country_code"}, {"registered_country", "iso_code"}} {
		var code string
		if r.DecodePath(&code, path...) == nil && isCode(code) {
			return code
		}
	}
	return ""
}

func isCode(s string) bool {
	return len(s) == 2 && 'A' <= s[0] && s[0] <= 'Z' && 'A' <= s[1] && s[1] <= 'Z'
}

// Kilometres is the least distance that lies between two places: zero when
// either is unknown or both may be the same one.
func (f *File) Kilometres(a, b Place) float64 {
	if f == nil || a.Country == "" || b.Country == "" || a.Country == b.Country && !(a.Exact && b.Exact) {
		return 0
	}
	from, to := f.points(a), f.points(b)
	if len(from) == 0 || len(to) == 0 {
		return 0
	}
	least := math.Inf(1)
	for _, p := range from {
		for _, q := range to {
			least = min(least, distance(p, q))
		}
	}
	return least
}

// points are where somebody at a place can be.
func (f *File) points(p Place) []point {
	if p.Exact {
		return []point{{p.Lat, p.Lon}}
	}
	return f.countries[p.Country]
}

const earth = 6371 // mean radius in kilometres

// distance is that of the great circle, by the haversine formula.
func distance(a, b point) float64 {
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	half := func(x float64) float64 { s := math.Sin(x / 2); return s * s }
	h := half(rad(b.lat-a.lat)) + math.Cos(rad(a.lat))*math.Cos(rad(b.lat))*half(rad(b.lon-a.lon))
	return 2 * earth * math.Asin(math.Sqrt(min(h, 1)))
}

func readCountries(text string) (map[string][]point, error) {
	all := map[string][]point{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" || !isCode(words[0]) {
			continue
		}
		for _, pair := range words[1:] {
			lat, lon, _ := strings.Cut(pair, ",")
			y, err1 := strconv.ParseFloat(lat, 64)
			x, err2 := strconv.ParseFloat(lon, 64)
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("countries.txt: %q is not a place", pair)
			}
			all[words[0]] = append(all[words[0]], point{y, x})
		}
	}
	return all, nil
}
