package api

import "time"

// Group is a set of principals; groups can contain groups.
type Group struct {
	ID          string    `json:"id"`
	Name        string    `json:"name,omitempty" doc:"Unique among the groups of the realm."`
	DisplayName string    `json:"display_name,omitempty"`
	Version     int64     `json:"version"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// GroupCreate makes a group.
type GroupCreate struct {
	Name        string `json:"name,omitempty" maxLength:"200"`
	DisplayName string `json:"display_name,omitempty" maxLength:"500"`
}

// GroupUpdate changes a group. Absent fields stay as they are.
type GroupUpdate struct {
	Name        *string `json:"name,omitempty" maxLength:"200"`
	DisplayName *string `json:"display_name,omitempty" maxLength:"500"`
}

// Organization is a business customer of the realm.
type Organization struct {
	ID          string    `json:"id"`
	Name        string    `json:"name,omitempty" doc:"Unique among the organizations of the realm."`
	DisplayName string    `json:"display_name,omitempty"`
	State       string    `json:"state" enum:"active,suspended,deleted"`
	Version     int64     `json:"version"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// OrganizationCreate makes an organization.
type OrganizationCreate struct {
	Name        string `json:"name,omitempty" maxLength:"200"`
	DisplayName string `json:"display_name,omitempty" maxLength:"500"`
}

// OrganizationUpdate changes an organization. Absent fields stay as they are.
type OrganizationUpdate struct {
	Name        *string `json:"name,omitempty" maxLength:"200"`
	DisplayName *string `json:"display_name,omitempty" maxLength:"500"`
}

// Member is a principal in a group or organization.
type Member struct {
	ID       string    `json:"id"`
	Kind     string    `json:"kind" doc:"person, service, workload, agent or group"`
	Name     string    `json:"name,omitempty" doc:"A label for people."`
	Relation string    `json:"relation,omitempty" doc:"A word of your own, such as employee. It grants nothing."`
	Since    time.Time `json:"since"`
}

// MemberPut adds a member or changes its relation.
type MemberPut struct {
	Relation string `json:"relation,omitempty" maxLength:"64"`
}

// Service is a program with an identity of its own.
type Service struct {
	ID          string     `json:"id"`
	Name        string     `json:"name,omitempty" doc:"Unique among the services of the realm."`
	DisplayName string     `json:"display_name,omitempty"`
	State       string     `json:"state" enum:"active,suspended,deleted"`
	Owner       string     `json:"owner,omitempty" doc:"The principal that answers for it. The service ends with its owner."`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	Version     int64      `json:"version"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
}

// ServiceCreate makes a service.
type ServiceCreate struct {
	Name        string     `json:"name,omitempty" maxLength:"200"`
	DisplayName string     `json:"display_name,omitempty" maxLength:"500"`
	Owner       string     `json:"owner,omitempty" maxLength:"64"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
}

// ServiceUpdate changes a service. Absent fields stay as they are.
type ServiceUpdate struct {
	Name        *string    `json:"name,omitempty" maxLength:"200"`
	DisplayName *string    `json:"display_name,omitempty" maxLength:"500"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"0001-01-01T00:00:00Z means never."`
}

// Credential is what a principal proves itself with, without what proves it.
type Credential struct {
	ID         string     `json:"id"`
	Type       string     `json:"type" doc:"password, passkey, totp, recovery, federated; client_secret, sealed_secret, public_key or key_set"`
	Name       string     `json:"name,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	RevokedAt  *time.Time `json:"revoked_at,omitempty"`
	CodesLeft  int        `json:"codes_left,omitempty" doc:"How many recovery codes were not used."`
	Passkey    *Passkey   `json:"passkey,omitempty" doc:"What a passkey is like."`
}

// Passkey is what is known of a passkey and the device that made it.
type Passkey struct {
	AAGUID   string `json:"aaguid" doc:"The model of the authenticator, zeros where it does not say."`
	Model    string `json:"model,omitempty" doc:"What people call that model. Without attestation it is a claim."`
	Synced   bool   `json:"synced" doc:"It may be on several devices (backup eligible)."`
	BackedUp bool   `json:"backed_up" doc:"It is, as of its last use."`
	Attested bool   `json:"attested" doc:"A trust anchor of the realm vouches for the device."`
}
