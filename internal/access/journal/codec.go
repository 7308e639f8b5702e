package journal

// A segment is a version byte and then, deflated, parts behind their length. In a part
// texts are written once and then named by number, and what an entry says at the same
// place as the one before is not written but counted: decisions of one moment say
// mostly the same, so that one comes to some twenty bytes.
//
// Version 1, which is only read, is one part without its length, in which everything is
// written each time.
const (
	segmentV1 = 1
	segmentV2 = 2
)

// Marks before a text. Higher numbers name one that came before.
const (
	textNew   = 0 // comes again, perhaps: it gets the next number
	textPlain = 1 // too long to be remembered
	textKnown = 2
)

// Marks before the id of an entry.
const (
	idText  = iota
	idBytes // of a decision of ours: 16
	idNow   // the last ten of those: the others are the entry's time
)

// longest text that gets a number, and how many get one.
const (
	longestKnown = 128
	mostKnown    = 1 << 16
)

// Kinds of values.
const (
	valueNull = iota
	valueFalse
	valueTrue
	valueText
	valueNumber
	valueList
	valueObject
	valueTime
	valueMasked
)
