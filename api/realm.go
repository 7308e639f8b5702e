package api

import "time"

// Realm is an issuer with its own people, clients, keys and log.
type Realm struct {
	Name        string        `json:"name"`
	DisplayName string        `json:"display_name"`
	Host        string        `json:"host,omitempty" doc:"A host name of its own, which keeps browsers from mixing it with other realms."`
	Issuer      string        `json:"issuer"`
	Settings    RealmSettings `json:"settings"`
	Version     int64         `json:"version"`
	CreatedAt   time.Time     `json:"created_at"`
	UpdatedAt   time.Time     `json:"updated_at"`
}

// RealmSettings is what operators decide about a realm. Times are written like
// 90s, 10m, 12h or 30d. In a request, absent fields stay as they are.
type RealmSettings struct {
	AccessTokenTTL    string `json:"access_token_ttl,omitempty" maxLength:"20" doc:"Life of an access token."`
	IDTokenTTL        string `json:"id_token_ttl,omitempty" maxLength:"20" doc:"Life of an ID token."`
	CodeTTL           string `json:"code_ttl,omitempty" maxLength:"20" doc:"Life of an authorization code."`
	RefreshIdle       string `json:"refresh_idle,omitempty" maxLength:"20" doc:"A refresh token dies when unused for so long."`
	RefreshAbsolute   string `json:"refresh_absolute,omitempty" maxLength:"20" doc:"A refresh family dies after so long, used or not."`
	SessionIdle       string `json:"session_idle,omitempty" maxLength:"20" doc:"A session ends when unused for so long."`
	SessionAbsolute   string `json:"session_absolute,omitempty" maxLength:"20" doc:"A session ends after so long, used or not."`
	PasswordMinLength int    `json:"password_min_length,omitempty" minimum:"0" doc:"Least characters of a password that is the only factor."`
	PasswordMaxAge    string `json:"password_max_age,omitempty" maxLength:"20" doc:"A password must be replaced after so long; 0s: never. It makes passwords weaker: for those whom a regulator obliges."`
	PasswordHistory   *int   `json:"password_history,omitempty" minimum:"0" doc:"How many earlier passwords may not be chosen again; 0: none. For those whom a regulator obliges."`
	AdviceTexts       string `json:"advice,omitempty" maxLength:"40000" doc:"What people are told about passwords, passkeys, phishing and where to report, in the place of the product's words: a JSON object of languages and topics with plain text."`
	GuessLimit        int    `json:"guess_limit,omitempty" minimum:"0" doc:"Wrong passwords evaluated for one account within guess_window."`
	GuessWindow       string `json:"guess_window,omitempty" maxLength:"20" doc:"Time in which guess_limit applies."`
	LeastACR          string `json:"least_acr,omitempty" enum:"aal1,aal2,aal3" doc:"Least assurance of a sign-in."`
	EnrolGrace        string `json:"enrol_grace,omitempty" doc:"How long somebody may go on without the factor that least_acr demands."`
	Factors           string `json:"factors,omitempty" maxLength:"200" doc:"Ways to prove who one is that count: words of password, totp, recovery, passkey and email, or *."`
	AssuranceLife     string `json:"assurance_life,omitempty" doc:"How long a proof counts for more than aal1."`
	RememberDevice    string `json:"remember_device,omitempty" doc:"How long a device is not asked for a second factor again, if its owner wishes so; 0s: never."`
	TOTPAlgorithm     string `json:"totp_algorithm,omitempty" enum:"SHA1,SHA256,SHA512" doc:"Algorithm of time-based codes of new authenticator apps."`
	MaxTokenBytes     int    `json:"max_token_bytes,omitempty" minimum:"0" doc:"An access token larger than this is not issued."`
	KeyRotation       string `json:"key_rotation,omitempty" maxLength:"20" doc:"A signing key signs for so long before the next takes over."`
	DefaultLanguage   string `json:"default_language,omitempty" maxLength:"35" doc:"Language of pages for browsers that ask for none there is."`
	DPoPNonce         string `json:"dpop_nonce,omitempty" enum:"optional,required" doc:"Whether DPoP proofs must hold a nonce of the server."`
	Profile           string `json:"profile,omitempty" enum:"default,mcp,fapi2" doc:"Rules for every client of the realm: OAuth 2.1, Model Context Protocol, or FAPI 2.0. Refused while a client contradicts them."`
	SignedRequests    string `json:"signed_requests,omitempty" enum:"optional,required" doc:"Whether clients must sign their authorization requests (RFC 9101, FAPI 2.0 Message Signing)."`
	SignedResponses   string `json:"signed_responses,omitempty" enum:"optional,required" doc:"Whether answers to authorization requests are always signed (JARM, FAPI 2.0 Message Signing)."`
	TLSClientCA       string `json:"tls_client_ca,omitempty" maxLength:"16384" doc:"CAs of the certificates of clients, as PEM (RFC 8705)."`
	OperatorACR       string `json:"operator_acr,omitempty" enum:"aal1,aal2,aal3" doc:"Least assurance of the sign-in of an operator who does something dangerous."`
	OperatorFresh     string `json:"operator_fresh,omitempty" maxLength:"20" doc:"How old that sign-in may be."`

	DecisionLog       string `json:"decision_log,omitempty" maxLength:"20" doc:"How long decisions of the policies are kept with what they rested on; 0s: none is written down."`
	DecisionLogMasked string `json:"decision_log_masked,omitempty" maxLength:"4000" doc:"Values that are left out of the decision log, such as context.ip, or none."`
	DecisionDetail    string `json:"decision_detail,omitempty" enum:"none,reasons,full" doc:"What callers of the decision service are told beside yes and no: none, reasons (and policies) or full (also the relations)."`

	PasskeyRPID             string `json:"passkey_rp_id,omitempty" maxLength:"253" doc:"Name that passkeys are made for; empty is the issuer's host."`
	PasskeyRelatedOrigins   string `json:"passkey_related_origins,omitempty" maxLength:"8000" doc:"Other https origins that may use the passkeys, or none."`
	PasskeyUserVerification string `json:"passkey_user_verification,omitempty" enum:"required,preferred" doc:"Whether a device must verify its owner where a password was given too."`
	PasskeyHints            string `json:"passkey_hints,omitempty" doc:"Which devices browsers should offer first: security-key, client-device, hybrid, or none."`
	PasskeyBinding          string `json:"passkey_binding,omitempty" enum:"any,device" doc:"Whether passkeys may be synced."`
	PasskeyAttestation      string `json:"passkey_attestation,omitempty" enum:"off,preferred,required" doc:"Whether authenticators must show what they are."`
	PasskeyAttestationCA    string `json:"passkey_attestation_ca,omitempty" maxLength:"16384" doc:"Trust anchors of attestations, as PEM; no others count."`
	PasskeyModels           string `json:"passkey_models,omitempty" maxLength:"8000" doc:"AAGUIDs of the authenticators that are accepted, or * for all."`
	PasskeyModelsDenied     string `json:"passkey_models_denied,omitempty" maxLength:"8000" doc:"AAGUIDs of authenticators that are refused, or none."`
	PasskeyRegression       string `json:"passkey_regression,omitempty" enum:"refuse,report" doc:"What is done when an authenticator's counter goes back."`
	ApprovalWebhook         string `json:"approval_webhook,omitempty" maxLength:"2000" doc:"https address that is told that a request waits for somebody, in a token that the realm signs."`

	EmailSignIn string `json:"email_sign_in,omitempty" enum:"off,on" doc:"Whether people who have nothing stronger may sign in by a code that is mailed to them. It reaches the first assurance level only."`
	MailReplyTo string `json:"mail_reply_to,omitempty" maxLength:"254" doc:"Address where answers to mail of the realm go."`
	MailFooter  string `json:"mail_footer,omitempty" maxLength:"2000" doc:"Last lines of every mail of the realm, such as who answers for it."`

	SelfRegistration        string `json:"self_registration,omitempty" enum:"on,off" doc:"Whether strangers may make themselves an account by proving an e-mail address. Needs mail."`
	SelfRegistrationDomains string `json:"self_registration_domains,omitempty" maxLength:"8000" doc:"Domains of such addresses, such as example.com or *.example.com, separated by spaces, or * for all."`
	ForgottenPassword       string `json:"forgotten_password,omitempty" enum:"on,off" doc:"Whether people may reset a forgotten password by mail. Needs mail."`
	AccountDeletion         string `json:"account_deletion,omitempty" enum:"on,off" doc:"Whether people may delete their own account."`
	DeletionGrace           string `json:"deletion_grace,omitempty" maxLength:"20" doc:"How long an account that its owner deleted can be kept by signing in."`

	RiskStuffing   string `json:"risk_credential_stuffing,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a network that tries leaked passwords at many accounts."`
	RiskSpraying   string `json:"risk_password_spraying,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about one wrong password that is tried at many accounts."`
	RiskNewDevice  string `json:"risk_new_device,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a browser that has not signed in to the account before."`
	RiskNewCountry string `json:"risk_new_country,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a new browser in a country that is new for the person."`
	RiskTravel     string `json:"risk_impossible_travel,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a new browser in a place that the person cannot have reached."`
	RiskDormant    string `json:"risk_dormant_account,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a new browser at an account that nobody has used for long."`
	RiskReuse      string `json:"risk_refresh_reuse,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a refresh token that two parties hold."`
	RiskKeyChange  string `json:"risk_key_change,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a refresh token that comes with another key than its own."`
	RiskCounter    string `json:"risk_passkey_counter,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about a passkey whose counter went back."`
	RiskSuspended  string `json:"risk_suspended_account,omitempty" enum:"off,inform,step_up,slow,lock,revoke" doc:"What is done about tries at a suspended account."`

	Registration                  string `json:"registration,omitempty" enum:"off,initial_access_token,open" doc:"Who may register clients without an operator (RFC 7591)."`
	RegistrationGrantTypes        string `json:"registration_grant_types,omitempty" maxLength:"1000" doc:"Grant types that clients may register for, separated by spaces."`
	RegistrationAuthMethods       string `json:"registration_auth_methods,omitempty" maxLength:"1000" doc:"Ways to authenticate that clients may register for, separated by spaces."`
	RegistrationScopes            string `json:"registration_scopes,omitempty" maxLength:"8000" doc:"Scopes that clients may register for, separated by spaces."`
	RegistrationResources         string `json:"registration_resources,omitempty" maxLength:"8000" doc:"Audiences that clients which register themselves may ask tokens for, separated by spaces, or none."`
	RegistrationDetailTypes       string `json:"registration_authorization_details_types,omitempty" maxLength:"8000" doc:"Types of authorization details that clients may register for (RFC 9396), separated by spaces, or none."`
	RegistrationRedirectHosts     string `json:"registration_redirect_hosts,omitempty" maxLength:"8000" doc:"Hosts of redirect URIs that clients may register, such as *.example.com, and schemes such as com.example.app:, separated by spaces, or * for all."`
	RegistrationPKCE              string `json:"registration_pkce,omitempty" enum:"required,optional" doc:"Whether confidential clients that register themselves must use PKCE."`
	RegistrationMaxClients        int    `json:"registration_max_clients,omitempty" minimum:"0" doc:"Most clients that registered themselves."`
	RegistrationUnused            string `json:"registration_unused,omitempty" maxLength:"20" doc:"A client that registered itself is deleted when nobody gave it anything for so long."`
	RegistrationSoftwareStatement string `json:"registration_software_statement,omitempty" enum:"required,optional" doc:"Whether a client that registers itself must show a software statement."`
	SoftwareStatementIssuers      string `json:"software_statement_issuers,omitempty" maxLength:"32768" doc:"Whose software statements count: a JSON object of issuers and their key sets, in a string."`

	AttesterJWKS              string `json:"attester_jwks,omitempty" maxLength:"32768" doc:"Keys of those who attest instances of clients that name no attesters of their own, a JWK set in a string, or none."`
	ClientDocuments           string `json:"client_id_metadata_documents,omitempty" enum:"off,on,profile" doc:"Whether a client id may be the https address of a document about the client; profile: in the profile mcp."`
	ClientDocumentHosts       string `json:"client_id_metadata_document_hosts,omitempty" maxLength:"8000" doc:"Hosts of such addresses, such as *.example.com, separated by spaces, or * for all."`
	ClientDocumentDeniedHosts string `json:"client_id_metadata_document_denied_hosts,omitempty" maxLength:"8000" doc:"Hosts of such addresses that are refused, separated by spaces, or none."`
	ClientDocumentMax         int    `json:"client_id_metadata_document_max,omitempty" minimum:"0" doc:"Most such clients that people gave something."`
}

// RealmCreate makes a realm.
type RealmCreate struct {
	Name        string        `json:"name" maxLength:"40" doc:"Lower-case letters, digits and hyphens. It is part of every token and never changes."`
	DisplayName string        `json:"display_name,omitempty" maxLength:"200"`
	Host        string        `json:"host,omitempty" maxLength:"253"`
	Settings    RealmSettings `json:"settings,omitzero"`
}

// RealmUpdate changes a realm. Absent fields stay as they are.
type RealmUpdate struct {
	DisplayName *string        `json:"display_name,omitempty" maxLength:"200"`
	Host        *string        `json:"host,omitempty" maxLength:"253"`
	Settings    *RealmSettings `json:"settings,omitempty"`
	Reset       []string       `json:"reset,omitempty" maxItems:"200" nullable:"false" doc:"Names of settings that go back to their defaults. This is how a text is emptied."`
}

// RealmCreated is a new realm and the link that opens its set-up page.
type RealmCreated struct {
	Realm Realm      `json:"realm"`
	Setup SecretLink `json:"setup" doc:"Opens a page that makes the realm's first owner, once, within 15 minutes."`
}

// Operator is a principal that may administer the realm.
type Operator struct {
	Principal string    `json:"principal"`
	Name      string    `json:"name,omitempty" doc:"A label for people."`
	Role      string    `json:"role" enum:"owner,admin,helpdesk,viewer,application"`
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// OperatorPut gives a principal a role.
type OperatorPut struct {
	Role string `json:"role" enum:"owner,admin,helpdesk,viewer,application"`
}

// Me is the operator that asks.
type Me struct {
	Principal   string   `json:"principal"`
	Name        string   `json:"name,omitempty"`
	Realm       string   `json:"realm"`
	Issuer      string   `json:"issuer"`
	Role        string   `json:"role" enum:"owner,admin,helpdesk,viewer,application"`
	Permissions []string `json:"permissions" nullable:"false"`
}
