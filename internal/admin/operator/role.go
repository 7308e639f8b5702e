package operator

import "slices"

// Role is what an operator was made: a name for a set of permissions.
type Role string

// The roles, from the one that may everything to the one that only looks.
const (
	Owner    Role = "owner"
	Admin    Role = "admin"
	Helpdesk Role = "helpdesk"
	Viewer   Role = "viewer"
	// Application is for programs that write facts of their own, and does not read
	// who there is.
	Application Role = "application"
)

// Permission is one thing the admin API lets an operator do.
type Permission string

// The permissions. Each operation of the admin API names exactly one.
const (
	UsersRead          Permission = "users.read"
	UsersWrite         Permission = "users.write"
	UsersSupport       Permission = "users.support" // suspend and activate
	UsersDelete        Permission = "users.delete"
	GroupsRead         Permission = "groups.read"
	GroupsWrite        Permission = "groups.write"
	OrganizationsRead  Permission = "organizations.read"
	OrganizationsWrite Permission = "organizations.write"
	ServicesRead       Permission = "services.read"
	ServicesWrite      Permission = "services.write"
	ClientsRead        Permission = "clients.read"
	ClientsWrite       Permission = "clients.write"
	ClientsPrivileged  Permission = "clients.privileged" // clients that may ask for the administration scope
	IssuersRead        Permission = "issuers.read"       // whom else the realm believes
	IssuersWrite       Permission = "issuers.write"      // who can act as those that are linked
	KeysRead           Permission = "keys.read"
	KeysWrite          Permission = "keys.write"
	SessionsRead       Permission = "sessions.read"
	SessionsEnd        Permission = "sessions.end"
	GrantsRead         Permission = "grants.read"
	GrantsRevoke       Permission = "grants.revoke"
	RealmsRead         Permission = "realms.read"
	RealmsWrite        Permission = "realms.write"
	RealmUpdate        Permission = "realm.update" // the settings of the operator's own realm
	OperatorsRead      Permission = "operators.read"
	OperatorsWrite     Permission = "operators.write"
	EventsRead         Permission = "events.read"
	EventsVerify       Permission = "events.verify"  // reads the whole log again
	DecisionsRead      Permission = "decisions.read" // who was let do what, and who can
	PoliciesRead       Permission = "policies.read"
	PoliciesWrite      Permission = "policies.write" // what applications let everybody do
	IncidentsRead      Permission = "incidents.read"
	IncidentsClose     Permission = "incidents.close" // which lets in again whom it kept out
	JobsRead           Permission = "jobs.read"
	JobsWrite          Permission = "jobs.write"    // retry and discard
	FactsRead          Permission = "facts.read"    // relations and attributes
	FactsWrite         Permission = "facts.write"   // which is to decide who may do what
	FactsSources       Permission = "facts.sources" // have this server ask others for facts
	Self               Permission = "self"          // what every operator may ask: who am I, what may I do
)

// reading is what a viewer may do, and everyone else too.
var reading = []Permission{
	Self, UsersRead, GroupsRead, OrganizationsRead, ServicesRead, ClientsRead,
	IssuersRead, KeysRead, SessionsRead, GrantsRead, OperatorsRead, EventsRead, DecisionsRead, IncidentsRead, JobsRead, FactsRead, PoliciesRead,
}

// helping is what the helpdesk may do beyond reading: lock, unlock and sign
// people out. It cannot change who someone is, so it cannot become them.
var helping = []Permission{UsersSupport, SessionsEnd, GrantsRevoke, IncidentsClose}

// administering is what an admin may do beyond helping.
var administering = []Permission{
	UsersWrite, UsersDelete, GroupsWrite, OrganizationsWrite, ServicesWrite,
	ClientsWrite, IssuersWrite, KeysWrite, OperatorsWrite, EventsVerify, JobsWrite, FactsWrite, FactsSources, PoliciesWrite,
}

// owning is what only an owner may do.
var owning = []Permission{ClientsPrivileged, RealmUpdate, RealmsRead, RealmsWrite}

// permissions is the whole of who may do what. Rights are compared by containment:
// each role of people holds what the next lesser one holds, and an admin what an
// application does.
var permissions = map[Role][]Permission{
	Viewer:   reading,
	Helpdesk: slices.Concat(reading, helping),
	Admin:    slices.Concat(reading, helping, administering),
	Owner:    slices.Concat(reading, helping, administering, owning),

	Application: {Self, FactsRead, FactsWrite},
}

// Roles are all roles, the most powerful first.
func Roles() []Role { return []Role{Owner, Admin, Helpdesk, Viewer, Application} }

// Valid reports whether r is a role.
func (r Role) Valid() bool { return permissions[r] != nil }

// Permissions are what r may do, none for an unknown role.
func (r Role) Permissions() []Permission { return slices.Clone(permissions[r]) }

// May reports whether r holds p. An unknown role holds nothing.
func (r Role) May(p Permission) bool { return slices.Contains(permissions[r], p) }

// Covers reports whether r holds every permission that other holds. Nobody
// may give, take or act upon rights that they do not have themselves.
func (r Role) Covers(other Role) bool {
	if !r.Valid() {
		return false
	}
	for _, p := range permissions[other] {
		if !r.May(p) {
			return false
		}
	}
	return true
}
