package api

import "time"

// DecisionEntity is somebody or something that policies speak of.
type DecisionEntity struct {
	Type string `json:"type" minLength:"1" maxLength:"1024" example:"user"`
	ID   string `json:"id" minLength:"1" maxLength:"1024"`
}

// DecisionStep says that a subject stands in a relation to an object: it is a member
// of it, inside it, or holds a role on it.
type DecisionStep struct {
	Subject   DecisionEntity `json:"subject"`
	Relation  string         `json:"relation" doc:"member, parent, or the name of a role."`
	Object    DecisionEntity `json:"object"`
	ExpiresAt *time.Time     `json:"expires_at,omitempty"`
}

// AccessQuestion asks what the policies would answer now.
type AccessQuestion struct {
	Subject            DecisionEntity `json:"subject"`
	Action             string         `json:"action" minLength:"1" maxLength:"1024"`
	Resource           DecisionEntity `json:"resource"`
	SubjectProperties  map[string]any `json:"subject_properties,omitempty"`
	ActionProperties   map[string]any `json:"action_properties,omitempty"`
	ResourceProperties map[string]any `json:"resource_properties,omitempty"`
	Context            map[string]any `json:"context,omitempty" doc:"Circumstances, such as acr, as a caller would send them."`
}

// AccessReason is one thing that led to an answer.
type AccessReason struct {
	Policy string `json:"policy,omitempty" doc:"Id of the policy that says so."`
	Text   string `json:"text,omitempty"`
	Error  string `json:"error,omitempty" doc:"What could not be judged; an error never permits."`
}

// AccessStepUp is the sign-in that would turn a no into a yes (RFC 9470).
type AccessStepUp struct {
	ACR    string `json:"acr,omitempty"`
	MaxAge int64  `json:"max_age,omitempty" doc:"Seconds; absent: however long ago."`
}

// AccessAnswer is what the policies say.
type AccessAnswer struct {
	Allowed    bool           `json:"allowed"`
	Reasons    []AccessReason `json:"reasons" nullable:"false"`
	Policies   []string       `json:"policies,omitempty" doc:"Ids of the policies that decided."`
	StepUp     *AccessStepUp  `json:"step_up,omitempty"`
	Path       []DecisionStep `json:"path,omitempty" doc:"The relations that justified it, from the subject to the resource."`
	Revision   string         `json:"revision,omitempty" doc:"Position in the event log of what was known."`
	PolicyHash string         `json:"policy_hash,omitempty"`
}

// Decision is one decision of the past, with all that it rested on.
type Decision struct {
	ID       string         `json:"id"`
	At       time.Time      `json:"at"`
	Kind     string         `json:"kind" doc:"evaluation, search.subject, search.resource, search.action, or administration: an operation of this API"`
	Question AccessQuestion `json:"question"`
	Answer   AccessAnswer   `json:"answer"`
	Results  int            `json:"results,omitempty" doc:"Of a search: how many were found on this page."`
	Refused  string         `json:"refused,omitempty" doc:"Why the policies were not asked."`
	Masked   bool           `json:"masked,omitempty" doc:"Values of the question are left out, by the realm's setting or by the agent that decided, or because it was too long: it cannot be asked again."`

	Client    string `json:"client" doc:"The application that asked."`
	Principal string `json:"principal,omitempty" doc:"On whose behalf."`
	Request   string `json:"request_id,omitempty" doc:"The caller's X-Request-ID."`

	Token       string `json:"token,omitempty" doc:"Id of the person's access token in the question."`
	Grant       string `json:"grant,omitempty" doc:"The grant it descends from."`
	Session     string `json:"session,omitempty" doc:"The session it descends from."`
	Application string `json:"application,omitempty" doc:"The client that got it."`
}

// DecisionExplained is a decision from the sign-in to the grant that justified it.
type DecisionExplained struct {
	Decision Decision      `json:"decision"`
	Name     string        `json:"name,omitempty" doc:"What the subject is called now, if it is a principal."`
	Session  *Session      `json:"session,omitempty" doc:"The sign-in, if it is still known."`
	Grant    *Grant        `json:"grant,omitempty" doc:"What the person's token descends from."`
	Events   []Event       `json:"events" nullable:"false" doc:"What happened to that session and grant, the newest first."`
	Now      *AccessAnswer `json:"now,omitempty" doc:"What the policies and facts of now say to the same question. Absent where values of it are left out, or for searches."`
}

// UnusedAccess is a role that somebody holds and no decision needed.
type UnusedAccess struct {
	DecisionStep
	Holders int `json:"holders,omitempty" doc:"How many hold it by being members, where the subject has members."`
}

// WideRole is a role that permits more than anybody needed.
type WideRole struct {
	Type   string   `json:"type" doc:"Type of the resource."`
	Role   string   `json:"role"`
	Grants int      `json:"grants" doc:"How often it is held."`
	Used   []string `json:"used" nullable:"false" doc:"Actions that it was needed for."`
	Unused []string `json:"unused" nullable:"false" doc:"Actions that it permits and was not needed for."`
}

// AccessUsage is how far what is granted was needed.
type AccessUsage struct {
	Since     time.Time      `json:"since"`
	Decisions int64          `json:"decisions" doc:"How many were looked at."`
	Dropped   int64          `json:"dropped" doc:"How many were made and not written down: something may have been needed unseen."`
	Reaches   *time.Time     `json:"reaches,omitempty" doc:"When the oldest decision was made that is still known, where that is later than since."`
	Unused    []UnusedAccess `json:"unused" nullable:"false"`
	Wide      []WideRole     `json:"wide" nullable:"false"`
	Next      string         `json:"next,omitempty" doc:"Send as after to get more of unused."`
}

// Access is that somebody may do something.
type Access struct {
	Subject  DecisionEntity `json:"subject"`
	Name     string         `json:"name,omitempty" doc:"What the subject is called, if it is a principal."`
	Action   string         `json:"action"`
	Resource DecisionEntity `json:"resource"`
	Policies []string       `json:"policies,omitempty"`
	Path     []DecisionStep `json:"path,omitempty"`
}

// AccessReview is one page of who can do what.
type AccessReview struct {
	Items    []Access `json:"items" nullable:"false"`
	Subjects int      `json:"subjects" doc:"How many subjects this page is about."`
	Total    int      `json:"total" doc:"How many subjects there are in all, for a sense of progress."`
	Revision string   `json:"revision,omitempty"`
	Next     string   `json:"next,omitempty" doc:"Send as after to get the next page. Absent on the last page."`
}
