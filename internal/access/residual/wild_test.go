package residual_test

import (
	"fmt"
	"slices"
	"strings"
)

// wild makes up conditions that nobody would write: what it says of rows, of
// subjects and of circumstances is put together by the types of the schema alone.
type wild struct {
	sample
	resource string
	guards   []string // what must be there for a term to be none of the validator's business
}

func (w *wild) guard(of, name string) string {
	w.guards = append(w.guards, of+" has "+name)
	return of + "." + name
}

// test is an expression that is true or false.
func (w *wild) test(depth int) string {
	if depth > 0 && w.odds(60) {
		a, b := w.test(depth-1), w.test(depth-1)
		switch w.IntN(6) {
		case 0, 1:
			return "(" + a + " && " + b + ")"
		case 2, 3:
			return "(" + a + " || " + b + ")"
		case 4:
			return "!(" + a + ")"
		}
		return "(if " + a + " then " + b + " else " + w.test(depth-1) + ")"
	}
	outer := w.guards
	w.guards = nil
	text := w.leaf()
	for _, g := range slices.Backward(w.guards) {
		text = g + " && " + text
	}
	w.guards = outer
	return "(" + text + ")"
}

func (w *wild) leaf() string {
	switch w.IntN(16) {
	case 13, 14, 15:
		return w.odd()
	case 0, 1:
		return fmt.Sprintf("%s %s %s", w.long(1), pick(w.sample, "<", "<=", ">", ">=", "==", "!="), w.long(1))
	case 2, 3:
		return fmt.Sprintf("%s %s %s", w.text(1), pick(w.sample, "==", "!="), w.text(1))
	case 4:
		return fmt.Sprintf("%s %s %s", w.time(), pick(w.sample, "<", "<=", ">", ">=", "==", "!="), w.time())
	case 5:
		return w.flag()
	case 6:
		return fmt.Sprintf("%s like %s", w.text(1), pick(w.sample, `"a*"`, `"*"`, `""`, `"*\**"`, `"a\u{0}*"`, `"*_*"`, `"A"`, `"*%"`, `"!*"`, `"*\\*"`, `"[a]*"`, `"a?"`, `"*a*b*"`, `"**"`, `"ä"`))
	case 7:
		typ := pick(w.sample, "User", "Team")
		return fmt.Sprintf("%s %s %s", w.entity(typ, 1), pick(w.sample, "==", "!="), w.entity(typ, 1))
	case 8:
		return fmt.Sprintf("%s in %s", w.entity(pick(w.sample, "User", "Team"), 1), pick(w.sample, w.entity("Team", 1), "["+w.entity("Team", 1)+", "+w.entity("Team", 0)+"]", `Org::"a"`))
	case 9:
		return fmt.Sprintf("[%s, %s].contains(%s)", w.text(1), w.text(0), w.text(1))
	case 10:
		return fmt.Sprintf("[%s, %s].contains(%s)", w.long(0), w.long(1), w.long(1))
	case 11:
		of := pick(w.sample, "principal", "resource", "context", w.entity("User", 1))
		names := []string{"level", "boss", "open", "mood", "title", "owner", "now", "names", "rank", "at", "teams", "ip", "rate"}
		return of + " has " + pick(w.sample, names...)
	}
	switch w.IntN(9) {
	case 0:
		return `principal has at && principal.at has zip && principal.at.zip > ` + w.long(1)
	case 1:
		return `principal has ip && principal.ip.isInRange(ip("10.0.0.0/8"))`
	case 2:
		return `principal has rate && principal.rate.lessThan(decimal("1.5"))`
	case 3:
		return `principal.hasTag("t") && principal.getTag("t") == ` + w.text(1)
	case 4:
		return `principal in Role::"` + pick(w.sample, "viewer", "editor", "owner", "banned") + `"`
	case 5:
		return "principal " + pick(w.sample, "==", "!=") + " resource"
	case 6:
		return `resource in ` + pick(w.sample, `Folder::"a"`, `[Folder::"b", Folder::"A"]`, `Team::"a"`, `Org::"b"`)
	case 7:
		return `principal has teams && principal.teams.contains(` + w.entity("Team", 1) + `)`
	}
	if w.resource == "Doc" {
		switch w.IntN(4) {
		case 0:
			return `resource has color && resource.color == Color::"` + pick(w.sample, "red", "A") + `"`
		case 1:
			return `resource has ref && [Num::"7", Num::"07", Num::"9223372036854775807", Num::"-1", Num::"a"].contains(resource.ref)`
		case 2:
			return `resource has ref && resource.ref ` + pick(w.sample, "==", "!=") + ` Num::"` + pick(w.sample, "7", "07", "a", "9007199254740993", "+7") + `"`
		}
		return `resource has uid && resource.uid ` + pick(w.sample, "==", "!=") + ` Key::"` + pick(w.sample, keys...) + `"`
	}
	return `resource is ` + pick(w.sample, "Doc", "Folder", "User")
}

// odd asks for sets, records and what lies behind references.
func (w *wild) odd() string {
	user, flag := w.entity("User", 1), pick(w.sample, "true", "false")
	switch w.IntN(10) {
	case 0:
		return fmt.Sprintf("%s %s %s", w.flag(), pick(w.sample, "==", "!="), w.flag())
	case 1:
		return fmt.Sprintf("%s %s %s", w.flag(), pick(w.sample, "==", "!="), flag)
	case 2:
		return fmt.Sprintf("principal has teams && %s in principal.teams", w.entity(pick(w.sample, "Team", "User"), 1))
	case 3:
		return fmt.Sprintf("%s has at && %s.at has zip && %s.at.zip %s %s", user, user, user, pick(w.sample, "<", "==", ">="), w.long(0))
	case 4:
		return fmt.Sprintf("%s has teams && %s.teams.contains(%s)", user, user, w.entity("Team", 1))
	case 5:
		return fmt.Sprintf("%s has teams && %s.teams.%s", user, user, pick(w.sample, "isEmpty()", `containsAny([Team::"a", Team::"b"])`, `containsAll([Team::"a"])`))
	case 6:
		return fmt.Sprintf("%s has ip && %s.ip.%s", user, user, pick(w.sample, `isInRange(ip("10.0.0.0/8"))`, "isIpv4()"))
	case 7:
		return fmt.Sprintf("%s has rate && %s.rate.%s", user, user, `lessThan(decimal("1.5"))`)
	case 8:
		return fmt.Sprintf("(if %s then [%s] else [%s, %s]).contains(%s)", w.test(0), w.text(0), w.text(0), w.text(0), w.text(0))
	}
	if w.resource == "Doc" {
		return "resource has tags && resource.tags." + pick(w.sample, `contains("a")`, "contains("+w.text(0)+")", "isEmpty()", `containsAny(["a", "x"])`, `containsAll(["a", "A"])`)
	}
	return fmt.Sprintf("%s has teams && %s has boss && %s.teams.contains(%s)", user, user, user, w.entity("Team", 0))
}

var keys = []string{"0198f2c4-a1b3-7aaa-8bbb-0123456789ab", "0198f2c4-a1b3-7aaa-8bbb-0123456789AB", "0198f2c4-a1b3-7aaa-8bbb-0123456789ac", "0198f2c4a1b37aaa8bbb0123456789ab", "a"}

func (w *wild) long(depth int) string {
	if depth > 0 {
		switch w.IntN(9) {
		case 0:
			return "(" + w.long(0) + pick(w.sample, " + ", " - ", " * ") + w.long(0) + ")"
		case 1:
			return "-" + w.long(0)
		case 2:
			return "(if " + w.test(0) + " then " + w.long(0) + " else " + w.long(0) + ")"
		case 3:
			return w.entity("User", depth-1) + ".rank"
		case 4:
			return w.entity("Team", depth-1) + ".rank"
		case 5:
			return w.guard("context", "n")
		}
	}
	switch w.IntN(6) {
	case 0:
		return pick(w.sample, "0", "1", "2", "3", "5", "9223372036854775807", "9007199254740993", "-9223372036854775808")
	case 1:
		return "principal.rank"
	case 2:
		return w.guard("principal", "level")
	}
	switch w.resource {
	case "Doc":
		return "resource." + pick(w.sample, "level", "cap")
	case "User":
		return pick(w.sample, "resource.rank", w.guard("resource", "level"))
	}
	return w.guard("resource", "level")
}

func (w *wild) text(depth int) string {
	if depth > 0 && w.odds(25) {
		return "(if " + w.test(0) + " then " + w.text(0) + " else " + w.text(0) + ")"
	}
	switch w.IntN(4) {
	case 0:
		return `"` + pick(w.sample, "a", "A", "", "archived", "new", `a\u{0}`, "b ", `\\`, "á", `a\u{301}`, `good`, `a\'`) + `"`
	case 1:
		return w.guard("principal", "mood")
	}
	switch w.resource {
	case "Doc":
		return "resource." + pick(w.sample, "title", "status")
	case "User":
		return w.guard("resource", "mood")
	}
	return `"a"`
}

func (w *wild) time() string {
	if w.resource == "Doc" && w.odds(70) {
		return w.guard("resource", pick(w.sample, "due", "seen"))
	}
	return pick(w.sample, `datetime("2027-01-15")`, `datetime("2027-01-15T08:00:00.001Z")`, `datetime("1969-12-31T23:59:59.999Z")`, `datetime("2027-01-15").offset(duration("-1ms"))`, w.guard("context", "now"))
}

func (w *wild) flag() string {
	if w.resource == "Doc" && w.odds(50) {
		return "resource.open"
	}
	of := pick(w.sample, "principal", "resource", w.entity("User", 0))
	return w.guard(of, "open")
}

func (w *wild) entity(typ string, depth int) string {
	if depth > 0 && w.odds(15) {
		return "(if " + w.test(0) + " then " + w.entity(typ, 0) + " else " + w.entity(typ, 0) + ")"
	}
	if typ == "Team" {
		if w.resource == "Doc" && w.odds(70) {
			return w.guard("resource", "team")
		}
		return `Team::"` + pick(w.sample, "a", "b", "A") + `"`
	}
	switch w.IntN(5) {
	case 0:
		return `User::"` + pick(w.sample, "a", "b", "7", "07") + `"`
	case 1:
		return "principal"
	case 2:
		return w.guard("principal", "boss")
	}
	switch w.resource {
	case "Doc":
		return pick(w.sample, "resource.editor", w.guard("resource", "owner"))
	case "User":
		return pick(w.sample, "resource", w.guard("resource", "boss"))
	}
	return w.guard("resource", "owner")
}

// wild is a policy without its effect.
func (r sample) wild() string {
	w := wild{sample: r, resource: pick(r, "Doc", "Doc", "Doc", "Folder", "User")}
	var b strings.Builder
	fmt.Fprintf(&b, "(principal is User, action, resource is %s)", w.resource)
	for range pick(r, 1, 1, 2) {
		fmt.Fprintf(&b, " %s { %s }", pick(r, "when", "when", "unless"), w.test(r.IntN(4)))
	}
	return b.String()
}
