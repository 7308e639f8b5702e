package api

import "time"

// Invitation is somebody without an account who is asked to make one.
type Invitation struct {
	ID        string     `json:"id" example:"inv_01k9zq3v5f8m2xw7c4n6b0t1ha"`
	Email     string     `json:"email,omitempty" doc:"Absent when the invitation has ended."`
	Name      string     `json:"name,omitempty"`
	Locale    string     `json:"locale,omitempty"`
	Groups    []string   `json:"groups" nullable:"false" doc:"Groups and organizations that whoever accepts will be in."`
	State     string     `json:"state" enum:"open,accepted,withdrawn,expired"`
	InvitedBy string     `json:"invited_by,omitempty"`
	User      string     `json:"user,omitempty" doc:"Who accepted it."`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt time.Time  `json:"expires_at"`
	EndedAt   *time.Time `json:"ended_at,omitempty"`
}

// InvitationCreate invites somebody.
type InvitationCreate struct {
	Email        string   `json:"email" maxLength:"254"`
	Name         string   `json:"name,omitempty" maxLength:"120" doc:"What they are called; they may change it."`
	Locale       string   `json:"locale,omitempty" maxLength:"35" doc:"Language of the letter."`
	Groups       []string `json:"groups,omitempty" maxItems:"20" nullable:"false" doc:"Ids of groups that they will be in."`
	Organization string   `json:"organization,omitempty" maxLength:"64" doc:"Id of an organization that they will be in."`
	Relation     string   `json:"relation,omitempty" maxLength:"32" doc:"What they will be in the organization; member where it is absent."`
	InvitationSend
}

// InvitationSend says how the link of an invitation reaches its addressee.
type InvitationSend struct {
	ExpiresIn int64  `json:"expires_in,omitempty" minimum:"0" maximum:"2592000" doc:"Seconds until the link ends, from an hour to 30 days; a week where it is absent."`
	Deliver   string `json:"deliver,omitempty" enum:"mail,link" doc:"mail sends the link, and nobody else sees it; link answers with it. A link that was handed over verifies no address."`
}

// InvitationSent is an invitation whose link was just made.
type InvitationSent struct {
	Invitation Invitation  `json:"invitation"`
	Link       *SecretLink `json:"link,omitempty" doc:"Where it is to be handed over."`
}
