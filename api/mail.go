package api

// MailTest asks for a letter that says that mail works.
type MailTest struct {
	To string `json:"to" maxLength:"254" doc:"The address that it is sent to."`
}
