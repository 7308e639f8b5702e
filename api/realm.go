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
// 90s, 10m, 12h or 30d. In a request, absent fields stay as they are. What each
// is for says docs/reference/realm-settings.md.
type RealmSettings struct {
	AccessTokenTTL    string `json:"access_token_ttl,omitempty" maxLength:"20"`
	IDTokenTTL        string `json:"id_token_ttl,omitempty" maxLength:"20"`
	CodeTTL           string `json:"code_ttl,omitempty" maxLength:"20"`
	RefreshIdle       string `json:"refresh_idle,omitempty" maxLength:"20"`
	RefreshAbsolute   string `json:"refresh_absolute,omitempty" maxLength:"20"`
	SessionIdle       string `json:"session_idle,omitempty" maxLength:"20"`
	SessionAbsolute   string `json:"session_absolute,omitempty" maxLength:"20"`
	PasswordMinLength int    `json:"password_min_length,omitempty" minimum:"0"`
	PasswordMaxAge    string `json:"password_max_age,omitempty" maxLength:"20"`
	PasswordHistory   *int   `json:"password_history,omitempty" minimum:"0"`
	AdviceTexts       string `json:"advice,omitempty" maxLength:"40000"`
	GuessLimit        int    `json:"guess_limit,omitempty" minimum:"0"`
	GuessWindow       string `json:"guess_window,omitempty" maxLength:"20"`
	LeastACR          string `json:"least_acr,omitempty" enum:"aal1,aal2,aal3"`
	EnrolGrace        string `json:"enrol_grace,omitempty"`
	Factors           string `json:"factors,omitempty" maxLength:"200"`
	AssuranceLife     string `json:"assurance_life,omitempty"`
	RememberDevice    string `json:"remember_device,omitempty"`
	TOTPAlgorithm     string `json:"totp_algorithm,omitempty" enum:"SHA1,SHA256,SHA512"`
	MaxTokenBytes     int    `json:"max_token_bytes,omitempty" minimum:"0"`
	KeyRotation       string `json:"key_rotation,omitempty" maxLength:"20"`
	DefaultLanguage   string `json:"default_language,omitempty" maxLength:"35"`
	DPoPNonce         string `json:"dpop_nonce,omitempty" enum:"optional,required"`
	Profile           string `json:"profile,omitempty" enum:"default,mcp,fapi2"`
	SignedRequests    string `json:"signed_requests,omitempty" enum:"optional,required"`
	SignedResponses   string `json:"signed_responses,omitempty" enum:"optional,required"`
	TLSClientCA       string `json:"tls_client_ca,omitempty" maxLength:"16384"`
	OperatorACR       string `json:"operator_acr,omitempty" enum:"aal1,aal2,aal3"`
	OperatorFresh     string `json:"operator_fresh,omitempty" maxLength:"20"`

	DecisionLog       string `json:"decision_log,omitempty" maxLength:"20"`
	DecisionLogMasked string `json:"decision_log_masked,omitempty" maxLength:"4000"`
	DecisionDetail    string `json:"decision_detail,omitempty" enum:"none,reasons,full"`

	PasskeyRPID             string `json:"passkey_rp_id,omitempty" maxLength:"253"`
	PasskeyRelatedOrigins   string `json:"passkey_related_origins,omitempty" maxLength:"8000"`
	PasskeyUserVerification string `json:"passkey_user_verification,omitempty" enum:"required,preferred"`
	PasskeyHints            string `json:"passkey_hints,omitempty"`
	PasskeyBinding          string `json:"passkey_binding,omitempty" enum:"any,device"`
	PasskeyAttestation      string `json:"passkey_attestation,omitempty" enum:"off,preferred,required"`
	PasskeyAttestationCA    string `json:"passkey_attestation_ca,omitempty" maxLength:"16384"`
	PasskeyModels           string `json:"passkey_models,omitempty" maxLength:"8000"`
	PasskeyModelsDenied     string `json:"passkey_models_denied,omitempty" maxLength:"8000"`
	PasskeyRegression       string `json:"passkey_regression,omitempty" enum:"refuse,report"`
	ApprovalWebhook         string `json:"approval_webhook,omitempty" maxLength:"2000"`

	EmailSignIn string `json:"email_sign_in,omitempty" enum:"off,on"`
	MailReplyTo string `json:"mail_reply_to,omitempty" maxLength:"254"`
	MailFooter  string `json:"mail_footer,omitempty" maxLength:"2000"`

	SelfRegistration        string `json:"self_registration,omitempty" enum:"on,off"`
	SelfRegistrationDomains string `json:"self_registration_domains,omitempty" maxLength:"8000"`
	ForgottenPassword       string `json:"forgotten_password,omitempty" enum:"on,off"`
	AccountDeletion         string `json:"account_deletion,omitempty" enum:"on,off"`
	DeletionGrace           string `json:"deletion_grace,omitempty" maxLength:"20"`

	RiskStuffing   string `json:"risk_credential_stuffing,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskSpraying   string `json:"risk_password_spraying,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskNewDevice  string `json:"risk_new_device,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskNewCountry string `json:"risk_new_country,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskTravel     string `json:"risk_impossible_travel,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskDormant    string `json:"risk_dormant_account,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskReuse      string `json:"risk_refresh_reuse,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskKeyChange  string `json:"risk_key_change,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskCounter    string `json:"risk_passkey_counter,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`
	RiskSuspended  string `json:"risk_suspended_account,omitempty" enum:"off,inform,step_up,slow,lock,revoke"`

	Registration                  string `json:"registration,omitempty" enum:"off,initial_access_token,open"`
	RegistrationGrantTypes        string `json:"registration_grant_types,omitempty" maxLength:"1000"`
	RegistrationAuthMethods       string `json:"registration_auth_methods,omitempty" maxLength:"1000"`
	RegistrationScopes            string `json:"registration_scopes,omitempty" maxLength:"8000"`
	RegistrationResources         string `json:"registration_resources,omitempty" maxLength:"8000"`
	RegistrationDetailTypes       string `json:"registration_authorization_details_types,omitempty" maxLength:"8000"`
	RegistrationRedirectHosts     string `json:"registration_redirect_hosts,omitempty" maxLength:"8000"`
	RegistrationPKCE              string `json:"registration_pkce,omitempty" enum:"required,optional"`
	RegistrationMaxClients        int    `json:"registration_max_clients,omitempty" minimum:"0"`
	RegistrationUnused            string `json:"registration_unused,omitempty" maxLength:"20"`
	RegistrationSoftwareStatement string `json:"registration_software_statement,omitempty" enum:"required,optional"`
	SoftwareStatementIssuers      string `json:"software_statement_issuers,omitempty" maxLength:"32768"`

	AttesterJWKS              string `json:"attester_jwks,omitempty" maxLength:"32768"`
	ClientDocuments           string `json:"client_id_metadata_documents,omitempty" enum:"off,on,profile"`
	ClientDocumentHosts       string `json:"client_id_metadata_document_hosts,omitempty" maxLength:"8000"`
	ClientDocumentDeniedHosts string `json:"client_id_metadata_document_denied_hosts,omitempty" maxLength:"8000"`
	ClientDocumentMax         int    `json:"client_id_metadata_document_max,omitempty" minimum:"0"`
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
