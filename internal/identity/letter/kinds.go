package letter

import "time"

// kind is what letters of one kind have besides words. Their words are in the
// catalogue: letter.KIND.subject, .text, .more if there is more, and .button.
// Words may use {realm}, and every name of Data as an argument.
type kind struct {
	urgent  bool     // somebody waits for it
	button  bool     // has a Link
	code    bool     // has a Code
	expires bool     // has a Life
	more    bool     // has a second paragraph
	ignore  bool     // ends with what to do for somebody who did not ask for it
	facts   []string // of Data, shown below the words under letter.fact.NAME
	spoken  []string // of Data, each a key of the catalogue whose words are a paragraph
	notMe   bool     // tells what to do if it was not the reader
}

// where is what a notice says about the browser that did it.
var where = []string{"device", "place"}

// kinds are all letters. To add one: a line here, and its words in each language.
var kinds = map[string]kind{
	"test": {},

	// Asked for by whoever reads them, or by somebody who gave their address.
	"code":            {urgent: true, code: true, expires: true, ignore: true, facts: where},
	"link":            {urgent: true, button: true, code: true, expires: true, ignore: true, more: true, facts: where},
	"code_not_enough": {urgent: true, ignore: true, facts: where},
	"reset_password":  {urgent: true, button: true, expires: true, ignore: true},
	"verify_email":    {urgent: true, button: true, expires: true, ignore: true},
	"invitation":      {button: true, expires: true, ignore: true},
	"register":        {urgent: true, button: true, expires: true, ignore: true},
	"change_email":    {urgent: true, button: true, expires: true, ignore: true},
	// To whoever has the address that somebody typed.
	"register_taken":     {button: true, more: true},
	"change_email_taken": {button: true, more: true},
	// Begun by an operator.
	"reset_password_operator": {urgent: true, button: true, expires: true},

	// Told to whoever has the account.
	"new_device":       {notMe: true, facts: where},
	"factor_added":     {notMe: true, facts: append([]string{"factor"}, where...)},
	"factor_removed":   {notMe: true, facts: append([]string{"factor"}, where...)},
	"email_changed":    {notMe: true, facts: where},
	"password_changed": {notMe: true, facts: where},
	"recovery_used":    {notMe: true, facts: where},
	"risk_notice":      {notMe: true, spoken: []string{"reason", "then"}, facts: where},
	"deletion_asked":   {notMe: true, facts: append([]string{"until"}, where...)},
	// To the address that an account had before, with the way back.
	"email_replaced":     {button: true, expires: true, more: true, facts: where},
	"deletion_cancelled": {notMe: true, facts: where},
	"deleted":            {},
	"suspended":          {},
	"activated":          {},
}

// Kinds are the names of all letters.
func Kinds() []string {
	all := make([]string, 0, len(kinds))
	for name := range kinds {
		all = append(all, name)
	}
	return all
}

// Needs gives those of a code, a link and a life that a letter of a kind has, and
// leaves the others empty.
func Needs(name, code, link string, life time.Duration) (string, string, time.Duration) {
	k := kinds[name]
	if !k.code {
		code = ""
	}
	if !k.button {
		link = ""
	}
	if !k.expires {
		life = 0
	}
	return code, link, life
}
