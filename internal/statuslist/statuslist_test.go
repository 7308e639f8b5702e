package statuslist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

func mustBitmap(t testing.TB, size int64) *Bitmap {
	t.Helper()
	b, err := NewBitmap(size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// draft-ietf-oauth-status-list, section 4.1: the example of one bit.
func TestPublishedExample(t *testing.T) {
	b := mustBitmap(t, 16)
	for i, dead := range []int{1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1} {
		if dead == 1 {
			b.Set(int64(i))
		}
	}
	if got := b.Bytes(); !bytes.Equal(got, []byte{0xb9, 0xa3}) {
		t.Fatalf("bytes %x, want b9a3", got)
	}
	bits, err := Decode("eNrbuRgAAhcBXQ", 2)
	if err != nil || !bytes.Equal(bits, []byte{0xb9, 0xa3}) {
		t.Errorf("the published lst reads %x, %v", bits, err)
	}
	var e Encoder
	for range 2 { // an encoder is used more than once
		if bits, err := Decode(e.Encode(b.Bytes()), 2); err != nil || !bytes.Equal(bits, b.Bytes()) {
			t.Errorf("what is encoded reads %x, %v", bits, err)
		}
	}
}

func TestBitsAreOnlyEverSet(t *testing.T) {
	for _, size := range []int64{1, 7, 8, 63, 64, 65, 1024, PageBits - 1, PageBits, PageBits + 1, 3*PageBits + 17} {
		b, want := mustBitmap(t, size), map[int64]bool{}
		rng := rand.New(rand.NewPCG(1, uint64(size)))
		for range 500 {
			i := rng.Int64N(size)
			if b.Set(i) == want[i] {
				t.Fatalf("size %d: Set(%d) does not tell whether it was alive", size, i)
			}
			want[i] = true
		}
		for i := range size {
			if b.Get(i) != want[i] {
				t.Fatalf("size %d: Get(%d) = %v", size, i, b.Get(i))
			}
		}
		if b.Count() != int64(len(want)) || b.Size() != size {
			t.Errorf("size %d: count %d, want %d", size, b.Count(), len(want))
		}
		for _, outside := range []int64{-1, size, 1 << 62, -1 << 62} {
			if b.Set(outside) || !b.Get(outside) {
				t.Errorf("size %d: index %d outside is not dead, or was set", size, outside)
			}
		}

		// Pages and whole copies restore the same dead, and revive nobody.
		paged, whole := mustBitmap(t, size), mustBitmap(t, size)
		early := rng.Int64N(size)
		paged.Set(early)
		for n := range b.Pages() {
			if err := paged.LoadPage(n, b.Page(n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := whole.Merge(b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(whole.Bytes(), b.Bytes()) {
			t.Errorf("size %d: a copy differs", size)
		}
		b.Set(early)
		if !bytes.Equal(paged.Bytes(), b.Bytes()) {
			t.Errorf("size %d: pages differ, or revived index %d", size, early)
		}
		if b.Page(-1) != nil || b.Page(b.Pages()) != nil || paged.LoadPage(b.Pages(), nil) == nil || paged.LoadPage(-1, nil) == nil {
			t.Errorf("size %d: a page outside is taken", size)
		}
		if paged.LoadPage(b.Pages()-1, make([]byte, PageBytes+8)) == nil || whole.Merge(make([]byte, size/8+16)) == nil {
			t.Errorf("size %d: too many bytes are taken", size)
		}
		if err := whole.Merge(bytes.Repeat([]byte{0xff}, int(size+7)/8)); err != nil || whole.Count() != size {
			t.Errorf("size %d: bits beyond the end are counted: %d, %v", size, whole.Count(), err)
		}
	}
	for _, size := range []int64{0, -1, MaxSize + 1} {
		if _, err := NewBitmap(size); err == nil {
			t.Errorf("a list of %d indexes", size)
		}
	}
}

func TestConcurrentDeathsAreAllKept(t *testing.T) {
	b := mustBitmap(t, 4096)
	var wg sync.WaitGroup
	var mu sync.Mutex
	first := 0
	for w := range 8 {
		wg.Go(func() {
			mine := 0
			for i := range int64(4096) {
				if b.Set((i*7 + int64(w)) % 4096) {
					mine++
				}
			}
			mu.Lock()
			first += mine
			mu.Unlock()
		})
	}
	wg.Wait()
	if b.Count() != 4096 || first != 4096 {
		t.Errorf("%d dead, %d first to kill", b.Count(), first)
	}
}

func TestEncodedListsAreBounded(t *testing.T) {
	var e Encoder
	bomb := e.Encode(make([]byte, 10<<20)) // ten megabytes of nothing in some kilobytes
	if _, err := Decode(bomb, 1<<20); err == nil {
		t.Error("more than the bound is taken")
	}
	if bits, err := Decode(bomb, 10<<20); err != nil || len(bits) != 10<<20 {
		t.Errorf("the bound itself is refused: %v", err)
	}
	good := e.Encode([]byte{1, 2, 3})
	raw, _ := base64.RawURLEncoding.DecodeString(good)
	broken := bytes.Clone(raw)
	broken[len(broken)-1] ^= 1 // the checksum
	var plain bytes.Buffer
	z := zlib.NewWriter(&plain)
	_, _ = z.Write([]byte{1})
	for name, bad := range map[string]string{
		"empty": "", "padding": good + "=", "line end": good + "\n", "no zlib": "AAAA", "truncated": good[:len(good)-4],
		"checksum": base64.RawURLEncoding.EncodeToString(broken), "more behind": base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw), 0)),
		"no end": base64.RawURLEncoding.EncodeToString(plain.Bytes()), "standard alphabet": strings.ReplaceAll(good, "-", "+") + "+",
	} {
		if bits, err := Decode(bad, 1000); err == nil {
			t.Errorf("%s: reads %x", name, bits)
		}
	}
}

func TestListTokens(t *testing.T) {
	var e Encoder
	want := Token{URI: "https://id.example.com/status-lists/slt_1", IssuedAt: time.Unix(1_900_000_000, 0).UTC(),
		Expires: time.Unix(1_900_000_060, 0).UTC(), TTL: 20 * time.Second, Lst: e.Encode([]byte{0xb9, 0xa3})}
	got, err := ParseToken(want.Claims())
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	var shape map[string]any
	if err := json.Unmarshal(want.Claims(), &shape); err != nil || shape["ttl"] != 20.0 || shape["sub"] != want.URI ||
		shape["status_list"].(map[string]any)["bits"] != 1.0 {
		t.Errorf("claims %s", want.Claims())
	}
	for _, bad := range []string{
		``, `{}`, `[]`, `{"sub":"u","iat":1}`, `{"sub":"u","iat":1,"status_list":{}}`, `{"sub":"u","iat":1,"status_list":{"bits":2,"lst":"x"}}`,
		`{"iat":1,"status_list":{"bits":1,"lst":"x"}}`, `{"sub":"u","status_list":{"bits":1,"lst":"x"}}`,
		`{"sub":"u","iat":1,"ttl":-1,"status_list":{"bits":1,"lst":"x"}}`, `{"sub":"u","iat":9e15,"status_list":{"bits":1,"lst":"x"}}`,
		`{"sub":"u","iat":1,"exp":-1,"status_list":{"bits":1,"lst":"x"}}`, `{"sub":1,"iat":1,"status_list":{"bits":1,"lst":"x"}}`,
	} {
		if tok, err := ParseToken([]byte(bad)); err == nil {
			t.Errorf("%s reads %+v", bad, tok)
		}
	}
}

func TestEveryIndexIsHandedOutOnce(t *testing.T) {
	for bits := 1; bits <= 17; bits++ {
		size := int64(1) << bits
		p, err := NewPermutation([]byte("a key"), "slt_1", size)
		if err != nil {
			t.Fatal(err)
		}
		seen := mustBitmap(t, size)
		for i := range size {
			at := p.At(i)
			if at < 0 || at >= size || !seen.Set(at) {
				t.Fatalf("size %d: counter %d has index %d, which is outside or taken", size, i, at)
			}
		}
	}
	for _, size := range []int64{-2, 0, 1, 3, 1000, MaxSize * 2} {
		if _, err := NewPermutation(nil, "", size); err == nil {
			t.Errorf("a permutation of %d", size)
		}
	}
	p, _ := NewPermutation(nil, "", 8)
	for _, outside := range []int64{-1, 8} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("counter %d of 8 has an index", outside)
				}
			}()
			p.At(outside)
		}()
	}
}

// Neighbours say nothing: consecutive counters land about as far apart as
// random ones would, and key and list both change the order.
func TestOrderLooksRandom(t *testing.T) {
	const size = 1 << 16
	p, _ := NewPermutation([]byte("a key"), "slt_1", size)
	same, byKey, byList, near, sum := 0, 0, 0, 0, int64(0)
	otherKey, _ := NewPermutation([]byte("b key"), "slt_1", size)
	otherList, _ := NewPermutation([]byte("a key"), "slt_2", size)
	again, _ := NewPermutation([]byte("a key"), "slt_1", size)
	for i := int64(0); i < size-1; i++ {
		d := p.At(i) - p.At(i+1)
		if d < 0 {
			d = -d
		}
		sum += d
		if d < 64 {
			near++
		}
		if p.At(i) == otherKey.At(i) {
			byKey++
		}
		if p.At(i) == otherList.At(i) {
			byList++
		}
		if p.At(i) == again.At(i) {
			same++
		}
	}
	if same != size-1 {
		t.Error("the order is not the same again")
	}
	if byKey > 10 || byList > 10 {
		t.Errorf("orders of other keys agree %d times, of other lists %d times", byKey, byList)
	}
	if mean := sum / (size - 1); mean < size*32/100 || mean > size*35/100 { // a third of the size
		t.Errorf("neighbours are %d apart on average", mean)
	}
	if near > 2*size*128/size { // expected: 65536 · 2·64/65536 = 128
		t.Errorf("%d neighbours lie close together", near)
	}
}

func TestPositions(t *testing.T) {
	for _, p := range []Position{{0, 0}, {1, 7}, {3, 1 << 62}} {
		got, err := ParsePosition(p.String())
		if err != nil || got != p {
			t.Errorf("%v reads %v, %v", p, got, err)
		}
		boot, at, err := ParseEventID(EventID("boot", p))
		if err != nil || boot != "boot" || at != p {
			t.Errorf("event id of %v reads %s %v, %v", p, boot, at, err)
		}
	}
	for _, bad := range []string{"", ".", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "01.2", "1.02", "+1.2", " 1.2", "1.2 ", "9223372036854775808.1", "a.b"} {
		if p, err := ParsePosition(bad); err == nil {
			t.Errorf("%q reads %v", bad, p)
		}
	}
	for _, bad := range []string{"", "boot", ".1.2", "boot.1", "boot.1.2.3", strings.Repeat("b", 200) + ".1.2"} {
		if _, _, err := ParseEventID(bad); err == nil {
			t.Errorf("event id %q is read", bad)
		}
	}
	if !(Position{1, 9}).Before(Position{2, 1}) || (Position{2, 1}).Before(Position{1, 9}) || (Position{1, 1}).Before(Position{1, 1}) {
		t.Error("positions are out of order")
	}
}

func TestStreamMessagesSurviveJSON(t *testing.T) {
	chain := Chain{}.Next([]byte("a"))
	if chain == (Chain{}).Next([]byte("b")) || chain.Next([]byte("b")) == (Chain{}).Next([]byte("b")).Next([]byte("a")) {
		t.Error("the chain does not depend on content and order")
	}
	in := Snapshot{Issuer: "https://id", IssuedAt: 1_900_000_000_123, Boot: "b", Pos: Position{1, 2}, Chain: chain,
		Lists: []List{{"u", 64, "x"}}, Cutoffs: []Cutoff{{CutClient, "cli_1", Position{1, 1}, 1_900_000_600}}, JTIs: []DeadToken{{"j", 5}}}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"iat":1900000000.123,`) || !strings.Contains(string(text), `"pos":"1.2"`) {
		t.Errorf("snapshot is %s", text)
	}
	var out Snapshot
	if err := json.Unmarshal(text, &out); err != nil || out.Chain != in.Chain || out.IssuedAt != in.IssuedAt || out.Pos != in.Pos ||
		out.Cutoffs[0] != in.Cutoffs[0] || out.Lists[0] != in.Lists[0] || out.JTIs[0] != in.JTIs[0] {
		t.Errorf("got %+v, %v", out, err)
	}
	for _, bad := range []string{`{"iat":"x"}`, `{"iat":-1}`, `{"iat":1e99}`, `{"pos":"1"}`, `{"pos":1}`, `{"chain":"AAAA"}`, `{"chain":"!"}`} {
		if err := json.Unmarshal([]byte(bad), &out); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	if !(&Delta{Pos: Position{1, 1}}).Empty() || (&Delta{Gone: []string{"u"}}).Empty() {
		t.Error("Empty is wrong")
	}
}

func FuzzDecode(f *testing.F) {
	var e Encoder
	f.Add(e.Encode([]byte{0xb9, 0xa3}))
	f.Add(e.Encode(make([]byte, 100)))
	f.Add("eNrbuRgAAhcBXQ")
	f.Fuzz(func(t *testing.T, lst string) {
		bits, err := Decode(lst, 4096)
		if err != nil {
			return
		}
		if len(bits) > 4096 {
			t.Fatalf("%d bytes", len(bits))
		}
		var e Encoder
		again, err := Decode(e.Encode(bits), 4096)
		if err != nil || !bytes.Equal(again, bits) {
			t.Fatalf("%x reads %x, %v", bits, again, err)
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add(Token{URI: "u", IssuedAt: time.Unix(1, 0), TTL: time.Second, Lst: "eNrbuRgAAhcBXQ"}.Claims())
	f.Add([]byte(`{"sub":"u","iat":1,"status_list":{"bits":1,"lst":"x"},"exp":99999999999}`))
	f.Fuzz(func(t *testing.T, claims []byte) {
		tok, err := ParseToken(claims)
		if err != nil {
			return
		}
		if again, err := ParseToken(tok.Claims()); err != nil || again != tok {
			t.Fatalf("%+v reads %+v, %v", tok, again, err)
		}
	})
}

func FuzzParseEventID(f *testing.F) {
	f.Add("boot.1.2")
	f.Add("a..1.2")
	f.Fuzz(func(t *testing.T, s string) {
		boot, p, err := ParseEventID(s)
		if err == nil && EventID(boot, p) != s {
			t.Fatalf("%q has another spelling: %q", s, EventID(boot, p))
		}
	})
}

func BenchmarkGet(b *testing.B) {
	m := mustBitmap(b, 1<<20)
	i := int64(0)
	for b.Loop() {
		m.Get(i & (1<<20 - 1))
		i += 12345
	}
}

func BenchmarkPermutation(b *testing.B) {
	p, _ := NewPermutation([]byte("key"), "slt_1", 1<<20)
	i := int64(0)
	for b.Loop() {
		p.At(i & (1<<20 - 1))
		i++
	}
}

// A million grants of which one in a hundred died.
func BenchmarkEncodeMillion(b *testing.B) {
	m := mustBitmap(b, 1<<20)
	for range 10_000 {
		m.Set(rand.Int64N(1 << 20))
	}
	var e Encoder
	bits := m.Bytes()
	for b.Loop() {
		b.ReportMetric(float64(len(e.Encode(bits))), "bytes")
	}
}
