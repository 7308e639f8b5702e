package git

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/cardea-id/cardea/internal/access/folder"
)

// A handful of small trees that hold each other many times over are not walked
// without end, and no name of a tree means another place.
func TestATreeIsNoBomb(t *testing.T) {
	all := objects{}
	put := func(kind byte, data string) string {
		o := &object{kind: kind, data: []byte(data)}
		all[idOf(o)] = o
		return idOf(o)
	}
	raw := func(id string) string {
		b, err := hex.DecodeString(id)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tree := put(2, "")
	for range 7 {
		var b strings.Builder
		for i := range 200 {
			fmt.Fprintf(&b, "40000 d%d\x00%s", i, raw(tree))
		}
		tree = put(2, b.String())
	}
	var in folder.Gatherer
	if err := all.gather(&in, tree, "", 0); err == nil {
		t.Error("a bomb was walked to its end")
	}
	for _, name := range []string{"", "policies/a.cedar", "../a"} {
		tree := put(2, "100644 "+name+"\x00"+raw(put(3, "permit (principal, action, resource);")))
		if err := all.gather(new(folder.Gatherer), tree, "", 0); err == nil {
			t.Errorf("%q is the name of a file", name)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"))
	f.Add([]byte("0011version 2\n0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = packets(b)
		if p, err := packIn(b); err == nil {
			_, _ = unpack(p)
		}
		_, _ = unpack(b)
		_, _, _ = apply([]byte("base"), b)
	})
}
