package api

import (
	"net/http"

	"github.com/cardea-id/cardea/internal/admin/operator"
	"github.com/cardea-id/cardea/internal/identity/principal"
)

const (
	get    = http.MethodGet
	post   = http.MethodPost
	put    = http.MethodPut
	patch  = http.MethodPatch
	remove = http.MethodDelete
)

// routes is the whole API: what there is, who may ask, which event it leaves
// and how it is limited.
func (s *Server) routes() {
	op(s, Operation{get, "/me", "me", "Who asks, and what they may do", operator.Self, NoEvent, Reading, 0, false}, s.me)

	op(s, Operation{get, "/users", "list-users", "List users", operator.UsersRead, NoEvent, Reading, 0, false}, s.listUsers)
	op(s, Operation{post, "/users", "create-user", "Create a user", operator.UsersWrite, "principal.create", Changing, 201, false}, s.createUser)
	op(s, Operation{get, "/users/{id}", "show-user", "Show a user, by id, username or e-mail address", operator.UsersRead, NoEvent, Reading, 0, false}, s.showUser)
	op(s, Operation{patch, "/users/{id}", "update-user", "Change a user", operator.UsersWrite, "principal.update", Changing, 0, false}, s.updateUser)
	op(s, Operation{remove, "/users/{id}", "delete-user", "Delete a user and their personal data for ever", operator.UsersDelete, "principal.delete", Changing, 0, false}, s.deleteUser)
	op(s, Operation{post, "/users/{id}/suspend", "suspend-user", "Stop a user and end everything they have open", operator.UsersSupport, "principal.suspend", Changing, 0, false}, s.suspendUser)
	op(s, Operation{post, "/users/{id}/activate", "activate-user", "Let a suspended user in again", operator.UsersSupport, "principal.activate", Changing, 0, false}, s.activateUser)
	op(s, Operation{post, "/users/{id}/sign-out", "sign-out-user", "End every session and grant of a user", operator.SessionsEnd, "session.end", Changing, 0, false}, s.signOutUser)
	op(s, Operation{post, "/users/{id}/password-link", "make-password-link", "Make a link with which a user sets a password", operator.UsersWrite, "principal.password_link", Secret, 0, false}, s.makePasswordLink)
	op(s, Operation{post, "/users/{id}/password-mail", "send-password-link", "Send a user a link with which they set a password, which nobody else sees", operator.UsersWrite, "principal.password_link", Secret, 0, false}, s.mailPasswordLink)
	op(s, Operation{get, "/users/{id}/terms", "list-user-terms", "List which terms a user accepted", operator.UsersRead, NoEvent, Reading, 0, false}, s.listUserTerms)
	op(s, Operation{post, "/users/{id}/emails", "add-email", "Give a user one more address", operator.UsersWrite, "principal.email.add", Changing, 201, false}, s.addEmail)
	op(s, Operation{patch, "/users/{id}/emails/{address}", "update-email", "Note that an address is verified, or make it the primary one", operator.UsersWrite, "principal.email.primary", Changing, 0, false}, s.updateEmail)
	op(s, Operation{remove, "/users/{id}/emails/{address}", "remove-email", "Take an address from a user", operator.UsersWrite, "principal.email.remove", Changing, 200, false}, s.removeEmail)
	op(s, Operation{get, "/users/{id}/credentials", "list-user-credentials", "List what a user, named by id, username or e-mail address, proves themselves with", operator.UsersRead, NoEvent, Reading, 0, false}, s.listCredentials(principal.Person))
	op(s, Operation{remove, "/users/{id}/credentials/{credential}", "revoke-user-credential", "Take a passkey or another factor from a user, who is signed out everywhere", operator.UsersWrite, "credential.revoke", Changing, 0, false}, s.revokeUserCredential)
	op(s, Operation{get, "/users/{id}/memberships", "list-memberships", "List the groups and organizations a user is directly in", operator.UsersRead, NoEvent, Reading, 0, false}, s.listMemberships)
	op(s, Operation{get, "/users/{id}/consents", "list-consents", "List what a user agreed to let clients have", operator.GrantsRead, NoEvent, Reading, 0, false}, s.listConsents)
	op(s, Operation{remove, "/users/{id}/consents/{client}", "revoke-consent", "Forget what a user agreed to and end the grants that rest on it", operator.GrantsRevoke, "consent.revoke", Changing, 0, false}, s.revokeConsent)

	op(s, Operation{get, "/invitations", "list-invitations", "List invitations, the oldest first", operator.UsersRead, NoEvent, Reading, 0, false}, s.listInvitations)
	op(s, Operation{post, "/invitations", "create-invitation", "Ask somebody without an account to make one", operator.UsersWrite, "invitation.create", Secret, 201, false}, s.createInvitation)
	op(s, Operation{get, "/invitations/{id}", "show-invitation", "Show an invitation", operator.UsersRead, NoEvent, Reading, 0, false}, s.showInvitation)
	op(s, Operation{post, "/invitations/{id}/send", "send-invitation", "Make another link of an invitation and end the ones before", operator.UsersWrite, "invitation.resend", Secret, 0, false}, s.sendInvitation)
	op(s, Operation{remove, "/invitations/{id}", "withdraw-invitation", "End an invitation", operator.UsersWrite, "invitation.withdraw", Changing, 0, false}, s.withdrawInvitation)

	op(s, Operation{get, "/terms", "list-terms", "List the versions of what people must accept, the oldest first", operator.UsersRead, NoEvent, Reading, 0, false}, s.listTerms)
	op(s, Operation{post, "/terms", "create-terms", "Make a version of a document that people must accept", operator.RealmUpdate, "terms.create", Changing, 201, false}, s.createTerms)
	op(s, Operation{get, "/terms/{id}", "show-terms", "Show a version", operator.UsersRead, NoEvent, Reading, 0, false}, s.showTerms)
	op(s, Operation{remove, "/terms/{id}", "withdraw-terms", "Take a version out of force", operator.RealmUpdate, "terms.withdraw", Changing, 0, false}, s.withdrawTerms)
	op(s, Operation{get, "/terms/{id}/acceptances", "list-terms-acceptances", "List who accepted a version", operator.UsersRead, NoEvent, Reading, 0, false}, s.listAcceptances)

	op(s, Operation{get, "/groups", "list-groups", "List groups", operator.GroupsRead, NoEvent, Reading, 0, false}, s.listGroups)
	op(s, Operation{post, "/groups", "create-group", "Create a group", operator.GroupsWrite, "principal.create", Changing, 201, false}, s.createGroup)
	op(s, Operation{get, "/groups/{id}", "show-group", "Show a group", operator.GroupsRead, NoEvent, Reading, 0, false}, s.showGroup)
	op(s, Operation{patch, "/groups/{id}", "update-group", "Change a group", operator.GroupsWrite, "principal.update", Changing, 0, false}, s.updateGroup)
	op(s, Operation{remove, "/groups/{id}", "delete-group", "Delete a group; its members stay", operator.GroupsWrite, "principal.delete", Changing, 0, false}, s.deleteGroup)
	op(s, Operation{get, "/groups/{id}/members", "list-group-members", "List the direct members of a group", operator.GroupsRead, NoEvent, Reading, 0, false}, s.listMembers(principal.Group))
	op(s, Operation{put, "/groups/{id}/members/{member}", "put-group-member", "Add a member to a group", operator.GroupsWrite, "principal.member.add", Changing, 0, false}, s.putMember(principal.Group))
	op(s, Operation{remove, "/groups/{id}/members/{member}", "remove-group-member", "Take a member out of a group", operator.GroupsWrite, "principal.member.remove", Changing, 0, false}, s.removeMember(principal.Group))

	op(s, Operation{get, "/organizations", "list-organizations", "List organizations", operator.OrganizationsRead, NoEvent, Reading, 0, false}, s.listOrganizations)
	op(s, Operation{post, "/organizations", "create-organization", "Create an organization", operator.OrganizationsWrite, "principal.create", Changing, 201, false}, s.createOrganization)
	op(s, Operation{get, "/organizations/{id}", "show-organization", "Show an organization", operator.OrganizationsRead, NoEvent, Reading, 0, false}, s.showOrganization)
	op(s, Operation{patch, "/organizations/{id}", "update-organization", "Change an organization", operator.OrganizationsWrite, "principal.update", Changing, 0, false}, s.updateOrganization)
	op(s, Operation{remove, "/organizations/{id}", "delete-organization", "Delete an organization; its members stay", operator.OrganizationsWrite, "principal.delete", Changing, 0, false}, s.deleteOrganization)
	op(s, Operation{get, "/organizations/{id}/members", "list-organization-members", "List the members of an organization", operator.OrganizationsRead, NoEvent, Reading, 0, false}, s.listMembers(principal.Organization))
	op(s, Operation{put, "/organizations/{id}/members/{member}", "put-organization-member", "Add a member to an organization, or change what they are in it", operator.OrganizationsWrite, "principal.member.add", Changing, 0, false}, s.putMember(principal.Organization))
	op(s, Operation{remove, "/organizations/{id}/members/{member}", "remove-organization-member", "Take a member out of an organization", operator.OrganizationsWrite, "principal.member.remove", Changing, 0, false}, s.removeMember(principal.Organization))

	op(s, Operation{get, "/services", "list-services", "List services", operator.ServicesRead, NoEvent, Reading, 0, false}, s.listServices)
	op(s, Operation{post, "/services", "create-service", "Create a service", operator.ServicesWrite, "principal.create", Changing, 201, false}, s.createService)
	op(s, Operation{get, "/services/{id}", "show-service", "Show a service", operator.ServicesRead, NoEvent, Reading, 0, false}, s.showService)
	op(s, Operation{patch, "/services/{id}", "update-service", "Change a service", operator.ServicesWrite, "principal.update", Changing, 0, false}, s.updateService)
	op(s, Operation{remove, "/services/{id}", "delete-service", "Delete a service for ever", operator.ServicesWrite, "principal.delete", Changing, 0, false}, s.deleteService)
	op(s, Operation{post, "/services/{id}/suspend", "suspend-service", "Stop a service and end everything it holds", operator.ServicesWrite, "principal.suspend", Changing, 0, false}, s.suspendService)
	op(s, Operation{post, "/services/{id}/activate", "activate-service", "Let a suspended service act again", operator.ServicesWrite, "principal.activate", Changing, 0, false}, s.activateService)
	op(s, Operation{get, "/services/{id}/credentials", "list-service-credentials", "List what a service proves itself with", operator.ServicesRead, NoEvent, Reading, 0, false}, s.listCredentials(principal.Service))
	op(s, Operation{remove, "/services/{id}/credentials/{credential}", "revoke-service-credential", "End a credential of a service and what descends from it", operator.ServicesWrite, "credential.revoke", Changing, 0, false}, s.revokeServiceCredential)

	op(s, Operation{get, "/clients", "list-clients", "List clients", operator.ClientsRead, NoEvent, Reading, 0, false}, s.listClients)
	op(s, Operation{post, "/clients", "create-client", "Register a client", operator.ClientsWrite, "client.create", Secret, 201, false}, s.createClient)
	op(s, Operation{get, "/clients/{id}", "show-client", "Show a client", operator.ClientsRead, NoEvent, Reading, 0, false}, s.showClient)
	op(s, Operation{put, "/clients/{id}", "replace-client", "Replace the settings of a client as a whole", operator.ClientsWrite, "client.update", Changing, 0, false}, s.replaceClient)
	op(s, Operation{remove, "/clients/{id}", "delete-client", "Delete a client for ever, and everything it was given", operator.ClientsWrite, "client.delete", Changing, 0, false}, s.deleteClient)
	op(s, Operation{post, "/clients/{id}/enable", "enable-client", "Let a disabled client ask for tokens again", operator.ClientsWrite, "client.enable", Changing, 0, false}, s.enableClient)
	op(s, Operation{post, "/clients/{id}/disable", "disable-client", "End everything a client was given and give it nothing more", operator.ClientsWrite, "client.disable", Changing, 0, false}, s.disableClient)
	op(s, Operation{get, "/clients/{id}/secrets", "list-client-secrets", "List the secrets of a client, without what they are", operator.ClientsRead, NoEvent, Reading, 0, false}, s.listSecrets)
	op(s, Operation{post, "/clients/{id}/secrets", "add-client-secret", "Make another secret for a client; two can be live", operator.ClientsWrite, "credential.create", Secret, 201, false}, s.addSecret)
	op(s, Operation{remove, "/clients/{id}/secrets/{secret}", "revoke-client-secret", "End a secret of a client and what was obtained with it", operator.ClientsWrite, "credential.revoke", Changing, 0, false}, s.revokeSecret)

	op(s, Operation{get, "/trusted-issuers", "list-trusted-issuers", "List those whose statements about people and services count", operator.IssuersRead, NoEvent, Reading, 0, false}, s.listIssuers)
	op(s, Operation{post, "/trusted-issuers", "create-trusted-issuer", "Trust an issuer", operator.IssuersWrite, "trusted_issuer.create", Changing, 201, false}, s.createIssuer)
	op(s, Operation{get, "/trusted-issuers/{id}", "show-trusted-issuer", "Show a trusted issuer", operator.IssuersRead, NoEvent, Reading, 0, false}, s.showIssuer)
	op(s, Operation{put, "/trusted-issuers/{id}", "replace-trusted-issuer", "Replace the settings of a trusted issuer as a whole", operator.IssuersWrite, "trusted_issuer.update", Changing, 0, false}, s.replaceIssuer)
	op(s, Operation{remove, "/trusted-issuers/{id}", "delete-trusted-issuer", "Stop trusting an issuer, and end what was obtained on its word", operator.IssuersWrite, "trusted_issuer.delete", Changing, 0, false}, s.deleteIssuer)
	op(s, Operation{get, "/trusted-issuers/{id}/subjects", "list-trusted-subjects", "List who the subjects of a trusted issuer are here", operator.IssuersRead, NoEvent, Reading, 0, false}, s.listSubjects)
	op(s, Operation{post, "/trusted-issuers/{id}/subjects", "link-trusted-subject", "Say who a subject of a trusted issuer is", operator.IssuersWrite, "trusted_issuer.link", Changing, 201, false}, s.linkSubject)
	op(s, Operation{remove, "/trusted-issuers/{id}/subjects/{link}", "unlink-trusted-subject", "Make a subject nobody, and end what was obtained through the link", operator.IssuersWrite, "trusted_issuer.unlink", Changing, 0, false}, s.unlinkSubject)

	op(s, Operation{get, "/authorization-detail-types", "list-authorization-detail-types", "List the types of authorization details", operator.ClientsRead, NoEvent, Reading, 0, false}, s.listDetailTypes)
	op(s, Operation{get, "/authorization-detail-types/{type}", "show-authorization-detail-type", "Show a type of authorization details", operator.ClientsRead, NoEvent, Reading, 0, false}, s.showDetailType)
	op(s, Operation{put, "/authorization-detail-types/{type}", "put-authorization-detail-type", "Register a type of authorization details, or replace it", operator.ClientsWrite, "authorization_detail_type.put", Changing, 0, false}, s.putDetailType)
	op(s, Operation{remove, "/authorization-detail-types/{type}", "delete-authorization-detail-type", "End a type of authorization details; what was granted stays", operator.ClientsWrite, "authorization_detail_type.delete", Changing, 0, false}, s.deleteDetailType)

	op(s, Operation{get, "/initial-access-tokens", "list-initial-access-tokens", "List tokens with which clients register themselves, without what they are", operator.ClientsRead, NoEvent, Reading, 0, false}, s.listInitialTokens)
	op(s, Operation{post, "/initial-access-tokens", "create-initial-access-token", "Make a token with which clients register themselves", operator.ClientsWrite, "initial_access_token.create", Secret, 201, false}, s.createInitialToken)
	op(s, Operation{remove, "/initial-access-tokens/{id}", "revoke-initial-access-token", "End a token with which clients register themselves; those that did stay", operator.ClientsWrite, "initial_access_token.revoke", Changing, 0, false}, s.revokeInitialToken)

	op(s, Operation{get, "/signing-keys", "list-signing-keys", "List the keys that sign the realm's tokens", operator.KeysRead, NoEvent, Reading, 0, false}, s.listKeys)
	op(s, Operation{post, "/signing-keys", "rotate-signing-key", "Make the successor of the key that signs with an algorithm", operator.KeysWrite, "signing_key.rotate", Secret, 201, false}, s.rotateKey)
	op(s, Operation{get, "/signing-keys/{id}", "show-signing-key", "Show a signing key", operator.KeysRead, NoEvent, Reading, 0, false}, s.showKey)
	op(s, Operation{post, "/signing-keys/{id}/revoke", "revoke-signing-key", "Withdraw a key in an emergency: all it signed is dead", operator.KeysWrite, "signing_key.revoke", Secret, 0, false}, s.revokeKey)
	op(s, Operation{post, "/signing-keys/{id}/retire", "retire-signing-key", "Take a key that does not sign out of the key set", operator.KeysWrite, "signing_key.retire", Changing, 0, false}, s.retireKey)

	op(s, Operation{get, "/sessions", "list-sessions", "List sessions, the newest first", operator.SessionsRead, NoEvent, Reading, 0, false}, s.listSessions)
	op(s, Operation{get, "/sessions/{id}", "show-session", "Show a session", operator.SessionsRead, NoEvent, Reading, 0, false}, s.showSession)
	op(s, Operation{remove, "/sessions/{id}", "end-session", "Sign a session out, with everything that hangs on it", operator.SessionsEnd, "session.end", Changing, 0, false}, s.endSession)

	op(s, Operation{get, "/grants", "list-grants", "List grants, the oldest first", operator.GrantsRead, NoEvent, Reading, 0, false}, s.listGrants)
	op(s, Operation{get, "/grants/{id}", "show-grant", "Show a grant", operator.GrantsRead, NoEvent, Reading, 0, false}, s.showGrant)
	op(s, Operation{remove, "/grants/{id}", "revoke-grant", "End a grant and every token of it", operator.GrantsRevoke, "grant.revoke", Changing, 0, false}, s.revokeGrant)

	op(s, Operation{get, "/realm", "show-own-realm", "Show the realm of this API", operator.Self, NoEvent, Reading, 0, false}, s.showOwnRealm)
	op(s, Operation{patch, "/realm", "update-own-realm", "Change the realm of this API", operator.RealmUpdate, "realm.update", Changing, 0, false}, s.updateOwnRealm)
	op(s, Operation{get, "/realms", "list-realms", "List realms", operator.RealmsRead, NoEvent, Reading, 0, true}, s.listRealms)
	op(s, Operation{post, "/realms", "create-realm", "Create a realm and the link that sets it up", operator.RealmsWrite, "realm.create", Secret, 201, true}, s.createRealm)
	op(s, Operation{get, "/realms/{name}", "show-realm", "Show a realm", operator.RealmsRead, NoEvent, Reading, 0, true}, s.showRealm)
	op(s, Operation{patch, "/realms/{name}", "update-realm", "Change a realm", operator.RealmsWrite, "realm.update", Changing, 0, true}, s.updateRealm)
	op(s, Operation{remove, "/realms/{name}", "delete-realm", "Delete a realm for ever, with every token it issued", operator.RealmsWrite, "realm.delete", Changing, 0, true}, s.deleteRealm)
	op(s, Operation{post, "/realms/{name}/setup-link", "make-setup-link", "Make another set-up link for a realm that never had an operator", operator.RealmsWrite, "operator.setup_link", Secret, 0, true}, s.makeSetupLink)

	op(s, Operation{get, "/operators", "list-operators", "List who may administer the realm", operator.OperatorsRead, NoEvent, Reading, 0, false}, s.listOperators)
	op(s, Operation{put, "/operators/{principal}", "assign-operator", "Give a principal a role", operator.OperatorsWrite, "operator.assign", Changing, 0, false}, s.putOperator)
	op(s, Operation{remove, "/operators/{principal}", "remove-operator", "Take every right from an operator", operator.OperatorsWrite, "operator.remove", Changing, 0, false}, s.removeOperator)

	op(s, Operation{get, "/jobs", "list-jobs", "List work that is done in the background, the newest first", operator.JobsRead, NoEvent, Reading, 0, false}, s.listJobs)
	op(s, Operation{post, "/mail-tests", "test-mail", "Send a letter that says that mail works; the job tells whether it does", operator.JobsWrite, "mail.test", Secret, 201, false}, s.testMail)
	op(s, Operation{get, "/jobs/{id}", "show-job", "Show a job", operator.JobsRead, NoEvent, Reading, 0, false}, s.showJob)
	op(s, Operation{post, "/jobs/{id}/retry", "retry-job", "Do a job now: one that waits, or one that was given up", operator.JobsWrite, "job.retry", Changing, 0, false}, s.retryJob)
	op(s, Operation{post, "/jobs/{id}/discard", "discard-job", "Leave a job undone", operator.JobsWrite, "job.discard", Changing, 0, false}, s.discardJob)

	op(s, Operation{post, "/access/changes", "write-facts", "Write relations and attributes, all of a batch or nothing", operator.FactsWrite, "access.change", Changing, 0, false}, s.writeFacts)
	op(s, Operation{get, "/access/relations", "list-relations", "List who is related to what", operator.FactsRead, NoEvent, Reading, 0, false}, s.listRelations)
	op(s, Operation{get, "/access/imports", "list-fact-imports", "List files of facts that this server writes by itself, the newest first", operator.FactsRead, NoEvent, Reading, 0, false}, s.listFactImports)
	op(s, Operation{post, "/access/imports", "create-fact-import", "Begin to send a file of facts in parts", operator.FactsWrite, "access_import.create", Changing, 201, false}, s.createFactImport)
	op(s, Operation{get, "/access/imports/{id}", "show-fact-import", "Show how far an import is", operator.FactsRead, NoEvent, Reading, 0, false}, s.showFactImport)
	op(s, Operation{put, "/access/imports/{id}/parts/{part}", "put-fact-import-part", "Send a part of an import; it is checked, and nothing is written yet", operator.FactsWrite, NoEvent, Changing, 0, false}, s.putFactImportPart)
	op(s, Operation{post, "/access/imports/{id}/start", "start-fact-import", "Have an import written, or go on after a failure", operator.FactsWrite, "access_import.start", Changing, 0, false}, s.startFactImport)
	op(s, Operation{remove, "/access/imports/{id}", "cancel-fact-import", "End an import; what was written stays", operator.FactsWrite, "access_import.cancel", Changing, 0, false}, s.cancelFactImport)
	op(s, Operation{get, "/access/sources", "list-fact-sources", "List where facts are pulled from", operator.FactsRead, NoEvent, Reading, 0, false}, s.listFactSources)
	op(s, Operation{post, "/access/sources", "create-fact-source", "Pull facts from somewhere", operator.FactsSources, "access_source.create", Secret, 201, false}, s.createFactSource)
	op(s, Operation{get, "/access/sources/{id}", "show-fact-source", "Show a source, by id or name", operator.FactsRead, NoEvent, Reading, 0, false}, s.showFactSource)
	op(s, Operation{put, "/access/sources/{id}", "replace-fact-source", "Replace what is set of a source", operator.FactsSources, "access_source.update", Secret, 0, false}, s.replaceFactSource)
	op(s, Operation{remove, "/access/sources/{id}", "delete-fact-source", "Stop pulling; what was pulled stays", operator.FactsSources, "access_source.delete", Changing, 0, false}, s.deleteFactSource)
	op(s, Operation{post, "/access/sources/{id}/pull", "pull-fact-source", "Pull a source now", operator.FactsSources, "access_source.pull", Secret, 0, false}, s.pullFactSource)
	op(s, Operation{get, "/access/attributes", "list-attributes", "List what is known about entities", operator.FactsRead, NoEvent, Reading, 0, false}, s.listAttributes)

	op(s, Operation{get, "/access/policy/versions", "list-policies", "List the versions of the policy folder, the newest first", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.listPolicies)
	op(s, Operation{post, "/access/policy/versions", "apply-policy", "Make a policy folder the one that counts", operator.PoliciesWrite, "policy.apply", Changing, 201, false}, s.applyPolicy)
	op(s, Operation{get, "/access/policy/versions/{id}", "show-policy", "Show a version with its files, by number, or current", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.showPolicy)
	op(s, Operation{post, "/access/policy/versions/{id}/rollback", "rollback-policy", "Apply an old version anew", operator.PoliciesWrite, "policy.rollback", Changing, 201, false}, s.rollbackPolicy)
	op(s, Operation{post, "/access/policy/plan", "plan-policy", "Say what a policy folder would do, and who would gain and lose which access", operator.PoliciesWrite, NoEvent, Changing, 0, false}, s.planPolicy)
	op(s, Operation{get, "/access/policy/diff", "diff-policies", "Say in words how two versions differ", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.diffPolicy)
	op(s, Operation{get, "/access/policy/built-in", "show-built-in-policy", "Show the policies about this API itself", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.showBuiltIn)
	op(s, Operation{get, "/access/policy/source", "show-policy-source", "Show which repository or directory is followed, and how it is", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.showPolicySource)
	op(s, Operation{put, "/access/policy/source", "follow-policy", "Follow a repository or directory", operator.PoliciesWrite, "policy.follow", Changing, 0, false}, s.putPolicySource)
	op(s, Operation{post, "/access/policy/source/look", "look-policy-source", "Look at what is followed now", operator.PoliciesWrite, "policy.apply", Changing, 0, false}, s.lookPolicySource)
	op(s, Operation{remove, "/access/policy/source", "unfollow-policy", "Follow nothing any more; what was applied stays", operator.PoliciesWrite, "policy.unfollow", Changing, 0, false}, s.removePolicySource)

	op(s, Operation{get, "/incidents", "list-incidents", "List what somebody has to look into, the newest first", operator.IncidentsRead, NoEvent, Reading, 0, false}, s.listIncidents)
	op(s, Operation{get, "/incidents/{id}", "show-incident", "Show an incident", operator.IncidentsRead, NoEvent, Reading, 0, false}, s.showIncident)
	op(s, Operation{get, "/incidents/{id}/events", "list-incident-events", "List the events that an incident is about, from a week before, the newest first", operator.IncidentsRead, NoEvent, Reading, 0, false}, s.listIncidentEvents)
	op(s, Operation{post, "/incidents/{id}/close", "close-incident", "Close an incident with what was found out, and release what it holds", operator.IncidentsClose, "incident.close", Changing, 0, false}, s.closeIncident)

	op(s, Operation{get, "/access/agents", "list-agents", "List agents that decide elsewhere, as they said of themselves last", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.listAgents)
	op(s, Operation{get, "/access/agents/config", "show-agent-config", "Show what agents are configured with", operator.PoliciesRead, NoEvent, Reading, 0, false}, s.showAgentConfig)
	op(s, Operation{get, "/access/decisions", "list-decisions", "List decisions about access, the newest first", operator.DecisionsRead, NoEvent, Reading, 0, false}, s.listDecisions)
	op(s, Operation{get, "/access/decisions/{id}", "explain-decision", "Explain a decision, from the sign-in to the grant", operator.DecisionsRead, NoEvent, Reading, 0, false}, s.explainDecision)
	op(s, Operation{post, "/access/filter", "filter-access", "Show the condition on rows that an application would get; nothing is written down", operator.DecisionsRead, NoEvent, Reading, 0, false}, s.filterAccess)
	op(s, Operation{post, "/access/ask", "ask-access", "Ask what the policies would answer now; nothing is written down", operator.DecisionsRead, NoEvent, Reading, 0, false}, s.askAccess)
	op(s, Operation{get, "/access/unused", "list-unused-access", "List roles that nobody needed, and roles that permit more than was needed", operator.DecisionsRead, NoEvent, Changing, 0, false}, s.unusedAccess)
	op(s, Operation{get, "/access/review", "review-access", "List who can do what, subject by subject", operator.DecisionsRead, NoEvent, Reading, 0, false}, s.reviewAccess)

	op(s, Operation{get, "/events", "list-events", "List what happened, the newest first", operator.EventsRead, NoEvent, Reading, 0, false}, s.listEvents)
	op(s, Operation{get, "/activity", "list-activity", "List what happens too often for an event each, such as issued tokens and refused attempts, the newest first", operator.EventsRead, NoEvent, Reading, 0, false}, s.listActivity)
	op(s, Operation{post, "/events/verify", "verify-events", "Check the log against its hash tree, and activity against the log, in steps", operator.EventsVerify, NoEvent, Secret, 0, false}, s.verifyEvents)
}
