package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Op is what a Condition asks of a row.
type Op string

// Every condition is either true or false of a row, never unknown: what compares
// a field that the row does not have is false. There is no negation, so nothing
// that is false can turn into a yes further up.
const (
	OpTrue    Op = "true"
	OpFalse   Op = "false"
	OpAll     Op = "all"     // all of Args
	OpAny     Op = "any"     // at least one of Args
	OpPresent Op = "present" // the row has Field
	OpAbsent  Op = "absent"  // the row does not
	OpIn      Op = "in"      // Field is one of Values
	OpNotIn   Op = "not_in"  // the row has Field, and it is none of Values
	OpLess    Op = "less"    // Field is less than Values[0] or Other; the same with the others
	OpAtMost  Op = "at_most"
	OpGreater Op = "greater"
	OpAtLeast Op = "at_least"
	OpSame    Op = "same"      // Field and Other are there and equal
	OpDiffer  Op = "different" // Field and Other are there and not equal
	OpLike    Op = "like"      // Field matches Pattern
	OpUnlike  Op = "unlike"    // Field is there and does not
)

// FieldKind says what a field of a row is.
type FieldKind string

// The kinds of fields.
const (
	FieldID        FieldKind = "id"
	FieldAttribute FieldKind = "attribute"
	FieldParent    FieldKind = "parent"
)

// ValueKind says how the values of a field compare.
type ValueKind string

// The kinds of values. Ids are strings that are the same only byte by byte.
const (
	ValueID     ValueKind = "id"
	ValueString ValueKind = "string"
	ValueLong   ValueKind = "long" // int64
	ValueBool   ValueKind = "bool"
	ValueTime   ValueKind = "datetime" // int64, milliseconds since 1970
)

// Field is something that a row says. The zero value is no field.
type Field struct {
	Kind FieldKind
	Name string // of the attribute, or the type of the parent
	Of   ValueKind
}

// Condition is what is left of a decision when only the row is unknown.
type Condition struct {
	Op      Op
	Args    []Condition
	Field   Field
	Other   Field
	Values  []any     // string, int64 or bool, as Field.Of says; sorted, without twins
	Pattern []*string // pieces of text; nil stands for any text
}

var (
	yes = Condition{Op: OpTrue}
	no  = Condition{Op: OpFalse}
)

// Constant reports whether the condition is the same for every row.
func (c Condition) Constant() (value, ok bool) {
	return c.Op == OpTrue, c.Op == OpTrue || c.Op == OpFalse
}

// Size counts the conditions in c and the values that they compare with.
func (c Condition) Size() (conditions, values int) {
	conditions, values = 1, len(c.Values)
	for _, a := range c.Args {
		n, v := a.Size()
		conditions, values = conditions+n, values+v
	}
	return conditions, values
}

func (c Condition) key() string {
	var b strings.Builder
	c.write(&b)
	return b.String()
}

func (c Condition) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s(%s %q %s %q", c.Op, c.Field.Kind, c.Field.Name, c.Other.Kind, c.Other.Name)
	for _, v := range c.Values {
		fmt.Fprintf(b, " %#v", v)
	}
	for _, p := range c.Pattern {
		if p == nil {
			b.WriteString(" *")
		} else {
			fmt.Fprintf(b, " %q", *p)
		}
	}
	for _, a := range c.Args {
		a.write(b)
	}
	b.WriteByte(')')
}

func present(f Field) Condition { return Condition{Op: OpPresent, Field: f} }

// absent is false of the id, which every row has.
func absent(f Field) Condition {
	if f.Kind == FieldID {
		return no
	}
	return Condition{Op: OpAbsent, Field: f}
}

func isIn(f Field, values []any) Condition {
	if len(values) == 0 {
		return no
	}
	return Condition{Op: OpIn, Field: f, Values: distinct(values)}
}

func notIn(f Field, values []any) Condition {
	switch {
	case len(values) > 0:
		return Condition{Op: OpNotIn, Field: f, Values: distinct(values)}
	case f.Kind == FieldID:
		return yes
	}
	return present(f)
}

func distinct(values []any) []any {
	out := slices.Clone(values)
	slices.SortFunc(out, compareValues)
	return slices.CompactFunc(out, func(a, b any) bool { return a == b })
}

func compareValues(a, b any) int {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

func all(args ...Condition) Condition  { return join(OpAll, yes, no, args) }
func some(args ...Condition) Condition { return join(OpAny, no, yes, args) }

// join flattens, leaves out what says nothing or is said twice, and makes one
// list of several about the same field.
func join(op Op, neutral, deciding Condition, args []Condition) Condition {
	var only *Condition
	counts := 0
	for i, a := range args {
		if a.Op == deciding.Op {
			return deciding
		}
		if a.Op != neutral.Op {
			only = &args[i]
			counts++
		}
	}
	if counts == 1 {
		return *only
	}
	var out []Condition
	seen := map[string]bool{}
	lists := map[Field]int{}
	merged := map[int]bool{}
	var add func(c Condition) bool
	add = func(c Condition) bool {
		switch {
		case c.Op == deciding.Op:
			return false
		case c.Op == neutral.Op:
			return true
		case c.Op == op:
			for _, a := range c.Args {
				if !add(a) {
					return false
				}
			}
			return true
		case op == OpAny && c.Op == OpIn || op == OpAll && c.Op == OpNotIn:
			if i, ok := lists[c.Field]; ok {
				if !merged[i] {
					merged[i] = true
					out[i].Values = slices.Clip(out[i].Values)
				}
				out[i].Values = append(out[i].Values, c.Values...)
				return true
			}
			lists[c.Field] = len(out)
			out = append(out, c)
			return true
		}
		if k := c.key(); !seen[k] {
			seen[k] = true
			out = append(out, c)
		}
		return true
	}
	for _, a := range args {
		if !add(a) {
			return deciding
		}
	}
	for i := range merged {
		out[i].Values = distinct(out[i].Values)
	}
	if out = withoutPlain(op, out); out == nil {
		return neutral
	}
	if contradicts(op, out) {
		return deciding
	}
	if len(out) == 1 {
		return out[0]
	}
	return Condition{Op: op, Args: out}
}

// withoutPlain leaves out that a field is there where something else says so, or
// is enough.
func withoutPlain(op Op, args []Condition) []Condition {
	if op != OpAll {
		return args
	}
	return slices.DeleteFunc(slices.Clone(args), func(c Condition) bool {
		return c.Op == OpPresent && slices.ContainsFunc(args, func(o Condition) bool {
			return o.Op != OpPresent && o.Op != OpAbsent && (o.Field == c.Field || o.Other == c.Field)
		})
	})
}

// contradicts finds a field that is there and is not, which no row meets and
// whose alternatives every row meets.
func contradicts(op Op, args []Condition) bool {
	for _, c := range args {
		if c.Op != OpAbsent {
			continue
		}
		for _, o := range args {
			switch {
			case o.Op == OpPresent && o.Field == c.Field:
				return true
			case op == OpAll && o.Op != OpAbsent && o.Op != OpAny && (o.Field == c.Field || o.Other == c.Field):
				return true
			}
		}
	}
	return false
}
