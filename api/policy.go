package api

import "time"

// PolicyFile is a file of a policy folder.
type PolicyFile struct {
	Path string `json:"path" maxLength:"200" example:"policies/payments.cedar"`
	Text string `json:"text" maxLength:"262144"`
}

// PolicyVersion is a policy folder as it was applied once. It never changes; the
// one with the highest number counts.
type PolicyVersion struct {
	Number    int64        `json:"number"`
	Hash      string       `json:"hash" doc:"Names what it decides, without layout and comments. Decisions carry it."`
	Content   string       `json:"content" doc:"Names its files as they are."`
	Files     int          `json:"files"`
	Bytes     int          `json:"bytes"`
	Tests     int          `json:"tests" doc:"How many questions its tests ask."`
	Message   string       `json:"message,omitempty" doc:"Why it was applied."`
	Origin    string       `json:"origin,omitempty" doc:"Where it came from, such as a repository and its commit."`
	Plan      string       `json:"plan,omitempty" doc:"The plan that was required."`
	By        Actor        `json:"by"`
	CreatedAt time.Time    `json:"created_at"`
	Contents  []PolicyFile `json:"contents,omitempty" doc:"The files, where one version is shown."`
}

// PolicyApply makes a folder the one that counts.
type PolicyApply struct {
	Files   []PolicyFile `json:"files" minItems:"1" maxItems:"1000"`
	Message string       `json:"message,omitempty" maxLength:"1000" doc:"Why."`
	Plan    string       `json:"plan,omitempty" maxLength:"64" doc:"Apply only if the plan would come out with this hash now."`
	Days    int          `json:"days,omitempty" minimum:"0" maximum:"366" doc:"How far that plan looks back; 7 where it is absent."`
}

// PolicyPlanRequest asks what a folder would do.
type PolicyPlanRequest struct {
	Files []PolicyFile `json:"files" minItems:"1" maxItems:"1000"`
	Days  int          `json:"days,omitempty" minimum:"0" maximum:"366" doc:"How far to look back; 7 where it is absent."`
}

// PolicyRollback applies an old version anew.
type PolicyRollback struct {
	Message string `json:"message,omitempty" maxLength:"1000" doc:"Why."`
}

// PolicyProblem is something that keeps a folder from being used.
type PolicyProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Advice  string `json:"advice,omitempty" doc:"What to do."`
}

// PolicyFailure is a question of a test with another answer than it expects.
type PolicyFailure struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Test     string   `json:"test"`
	Question string   `json:"question,omitempty"`
	Message  string   `json:"message"`
	Reasons  []string `json:"reasons,omitempty"`
	Path     []string `json:"path,omitempty" doc:"The relations that the answer rested on."`
}

// PolicyDifference is one thing that differs between two folders.
type PolicyDifference struct {
	Kind   string `json:"kind" doc:"schema, role, policy, test or rego"`
	Change string `json:"change" doc:"added, removed or changed"`
	Name   string `json:"name"`
	Words  string `json:"words"`
	File   string `json:"file,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// PolicyEntity is who asks, or what is asked about.
type PolicyEntity struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

// PolicyEffect is that somebody gains or loses an access that they asked for.
type PolicyEffect struct {
	Subject  PolicyEntity `json:"subject"`
	Action   string       `json:"action"`
	Resource PolicyEntity `json:"resource"`
	Times    int          `json:"times" doc:"How often they asked for it."`
	LastAt   time.Time    `json:"last_at"`
	Decision string       `json:"decision,omitempty" doc:"The last of these decisions."`
	Before   []string     `json:"before,omitempty" doc:"Reasons of the answer by the policies that count now."`
	After    []string     `json:"after,omitempty" doc:"Reasons of the answer by the folder."`
	Path     []string     `json:"path,omitempty" doc:"The relations that the yes rests on."`
	StepUp   string       `json:"step_up,omitempty" doc:"The sign-in that would do after the change."`
}

// PolicyPlan is what a folder would do if it were applied.
type PolicyPlan struct {
	OK          bool               `json:"ok" doc:"Whether it could be applied."`
	Hash        string             `json:"hash,omitempty" doc:"Names this outcome; apply can require it."`
	Policy      string             `json:"policy,omitempty" doc:"Hash of what the folder decides."`
	Base        int64              `json:"base" doc:"The version it is compared with; 0: there is none yet."`
	Problems    []PolicyProblem    `json:"problems"`
	Tests       int                `json:"tests" doc:"How many questions its tests ask."`
	Failures    []PolicyFailure    `json:"failures"`
	Differences []PolicyDifference `json:"differences"`
	Since       time.Time          `json:"since"`
	Until       time.Time          `json:"until"`
	Decisions   int                `json:"decisions" doc:"Of that time, asked again."`
	Unaffected  int                `json:"unaffected" doc:"Of these, about which the folder says the very same."`
	Partial     bool               `json:"partial" doc:"There were more than can be asked again; these are the newest."`
	More        bool               `json:"more" doc:"More accesses change than are counted here."`
	Drifted     int                `json:"drifted" doc:"Answered differently by now, because facts changed since."`
	Gains       []PolicyEffect     `json:"gains" doc:"Who gains which access. At most 1,000 are listed."`
	GainCount   int                `json:"gain_count"`
	Losses      []PolicyEffect     `json:"losses" doc:"Who loses which access. At most 1,000 are listed."`
	LossCount   int                `json:"loss_count"`
	StepUps     []PolicyEffect     `json:"step_ups" doc:"Who is denied before and after, but with another sign-in that would do. At most 1,000 are listed."`
	StepUpCount int                `json:"step_up_count"`
	Own         *PolicyOwnPlan     `json:"own,omitempty" doc:"The same of operators and Cardea's own administration, where the folder or the one before has policies about it."`
}

// PolicyOwnPlan is what a folder would do to those who administer the realm.
type PolicyOwnPlan struct {
	Decisions   int              `json:"decisions" doc:"About operations of the admin API, asked again."`
	Gains       []PolicyEffect   `json:"gains" doc:"Who gains which operation. Nobody can gain what the table of roles does not permit. At most 1,000 are listed."`
	GainCount   int              `json:"gain_count"`
	Losses      []PolicyEffect   `json:"losses" doc:"Who loses which operation. At most 1,000 are listed."`
	LossCount   int              `json:"loss_count"`
	StepUps     []PolicyEffect   `json:"step_ups" doc:"Who is denied before and after, but with another sign-in that would do. At most 1,000 are listed."`
	StepUpCount int              `json:"step_up_count"`
	LockedOut   []PolicyOperator `json:"locked_out" doc:"Operators who could change policies, and could not any more in any sign-in, network or time that was tried. At most 1,000 are listed."`
}

// PolicyOperator is an operator with the role that it has.
type PolicyOperator struct {
	Operator PolicyEntity `json:"operator"`
	Role     string       `json:"role"`
}

// BuiltInPolicy is the policies about Cardea's own administration.
type BuiltInPolicy struct {
	Hash     string       `json:"hash" doc:"Names the policies that count about this realm's administration, those that it adds included. Decisions carry it."`
	Contents []PolicyFile `json:"contents" doc:"The built-in files, which no realm changes."`
	Version  int64        `json:"version,omitempty" doc:"The version of the realm's folder that adds policies; 0: it adds none."`
	Added    []PolicyFile `json:"added" doc:"What the realm adds, in cardea/*.cedar of its folder."`
	Broken   string       `json:"broken,omitempty" doc:"Why what the realm adds cannot be used. Nothing is permitted until it can, or the glass is broken."`
	Glass    *BrokenGlass `json:"glass,omitempty" doc:"Until when only the built-in policies count."`
}

// BrokenGlass says that a realm's policies about administration are set aside.
type BrokenGlass struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// PolicySource is where a realm's policy folder is followed.
type PolicySource struct {
	Kind        string     `json:"kind" doc:"git or directory"`
	Location    string     `json:"location"`
	Branch      string     `json:"branch,omitempty"`
	Folder      string     `json:"folder,omitempty"`
	Username    string     `json:"username,omitempty"`
	HasPassword bool       `json:"has_password"`
	Seconds     int64      `json:"seconds"`
	CheckedAt   *time.Time `json:"checked_at,omitempty"`
	Seen        string     `json:"seen,omitempty" doc:"The commit that was found last."`
	State       string     `json:"state" doc:"waiting, current, refused or unreachable"`
	Detail      string     `json:"detail,omitempty" doc:"What was wrong, or what applying it did."`
	SinceAt     time.Time  `json:"since_at"`
	Version     int64      `json:"version,omitempty" doc:"The version that was applied from it last."`
}

// PolicySourcePut has a realm's policy folder followed.
type PolicySourcePut struct {
	Kind     string `json:"kind" enum:"git,directory"`
	Location string `json:"location" maxLength:"1000" doc:"https address of a repository, or path of a directory that the server's setting policies.directories allows."`
	Branch   string `json:"branch,omitempty" maxLength:"200"`
	Folder   string `json:"folder,omitempty" maxLength:"200" doc:"Within the repository."`
	Username string `json:"username,omitempty" maxLength:"200"`
	Password string `json:"password,omitempty" maxLength:"1000" doc:"Password or access token for the repository. Absent: the one that is known stays, if location and username stay."`
	Seconds  int64  `json:"seconds,omitempty" minimum:"0" maximum:"86400" doc:"Between two looks; 60, of a directory 5, where it is absent."`
}
