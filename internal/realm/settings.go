package realm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cardea-id/cardea/internal/fault"
)

// Settings are what operators decide about a realm while it runs. In JSON each
// goes by the name in Fields; times are written like 90s, 10m, 12h or 30d.
type Settings struct {
	// AccessTokenTTL is how long an access token lives.
	AccessTokenTTL time.Duration
	// IDTokenTTL is how long an ID token may be accepted.
	IDTokenTTL time.Duration
	// CodeTTL is how long an authorization code may be redeemed.
	CodeTTL time.Duration
	// RefreshIdle ends a refresh family that was not used for so long.
	RefreshIdle time.Duration
	// RefreshAbsolute ends a refresh family after so long, used or not.
	RefreshAbsolute time.Duration
	// SessionIdle ends a session that was not used for so long.
	SessionIdle time.Duration
	// SessionAbsolute ends a session after so long, used or not.
	SessionAbsolute time.Duration
	// PasswordMinLength is the least number of code points of a new password
	// where it is the only factor.
	PasswordMinLength int
	// PasswordMaxAge is after how long a password must be replaced; 0: never.
	// PasswordHistory is how many earlier ones may not be chosen again. Both make
	// passwords weaker, since people answer them with patterns (NIST SP 800-63B-4,
	// section 3.1.1.2): they are for those whom a regulator obliges.
	PasswordMaxAge  time.Duration
	PasswordHistory int
	// AdviceTexts are what operators tell people in the place of the product's own
	// advice; see Advice.
	AdviceTexts string
	// GuessLimit is how many wrong passwords are evaluated for one account
	// within GuessWindow: once for all unknown browsers together, and once for
	// each browser that has signed in to the account before. As many wrong codes
	// of devices are looked up for one account, or one address of strangers.
	GuessLimit int
	// GuessWindow is the time in which GuessLimit applies.
	GuessWindow time.Duration
	// LeastACR is the least assurance of a sign-in: aal1, aal2 or aal3.
	LeastACR string
	// EnrolGrace is how long somebody who lacks the factor that LeastACR demands
	// may go on without it.
	EnrolGrace time.Duration
	// Factors are those that count, * for all.
	Factors string
	// AssuranceLife is how long a proof counts for more than LeastACR's first
	// level.
	AssuranceLife time.Duration
	// RememberDevice is how long a device on which a second factor was proved is
	// not asked for one again, if its owner wishes so; 0 is never.
	RememberDevice time.Duration
	// TOTPAlgorithm is that of time-based codes of new apps (RFC 6238).
	TOTPAlgorithm string
	// MaxTokenBytes is the size above which an access token is not issued.
	MaxTokenBytes int
	// KeyRotation is how long a signing key signs before the next one takes over.
	KeyRotation time.Duration
	// DefaultLanguage is the language of pages for browsers that ask for none
	// that there is, as a BCP 47 tag.
	DefaultLanguage string
	// DPoPNonce is "required" where every DPoP proof must hold a nonce of ours
	// (RFC 9449, section 8), or "optional".
	DPoPNonce string
	// Profile names the rules that hold for every client of the realm: default,
	// mcp or fapi2. Package client has them.
	Profile string
	// SignedRequests is "required" where clients must sign their authorization
	// requests (RFC 9101), SignedResponses where they get signed answers only
	// (JARM); else "optional".
	SignedRequests, SignedResponses string
	// TLSClientCA are the CAs of clients' certificates, as PEM (RFC 8705).
	TLSClientCA string
	// ApprovalWebhook is told that a request waits for somebody, so that it can
	// tell them, or "".
	ApprovalWebhook string
	// EmailSignIn is "on" where people who have nothing stronger may sign in by a
	// code that is mailed to them, or "off".
	EmailSignIn string
	// MailReplyTo is where answers to mail of the realm go, or "".
	MailReplyTo string
	// MailFooter are the last lines of every mail, such as who answers for it.
	MailFooter string

	// SelfRegistration is On where strangers may make themselves an account by
	// proving an e-mail address, or "off".
	SelfRegistration string
	// SelfRegistrationDomains are the domains of such addresses, such as
	// example.com or *.example.com; * is every one.
	SelfRegistrationDomains string
	// ForgottenPassword is On where people reset a forgotten password by mail, or
	// "off".
	ForgottenPassword string
	// AccountDeletion is On where people may delete their own account, or "off".
	AccountDeletion string
	// DeletionGrace is how long such an account can still be kept by signing in.
	DeletionGrace time.Duration

	// Registration says who may register clients without an operator (RFC
	// 7591): off, initial_access_token or open.
	Registration string
	// What such clients may be and ask for: lists of words, each none or, for
	// hosts, * for every one. They are asked at each registration and update.
	RegistrationGrantTypes, RegistrationAuthMethods, RegistrationScopes string
	RegistrationResources, RegistrationRedirectHosts                    string
	RegistrationDetailTypes                                             string
	// RegistrationPKCE is "optional" where confidential clients that registered
	// themselves may leave PKCE out, or "required".
	RegistrationPKCE string
	// RegistrationMaxClients bounds how many such clients there are.
	RegistrationMaxClients int
	// RegistrationUnused deletes such a client when nobody gave it anything for
	// so long.
	RegistrationUnused time.Duration
	// RegistrationSoftwareStatement is "required" or "optional".
	RegistrationSoftwareStatement string
	// ClientDocuments is "on" where a client id may be the address of a document
	// about the client, or "off".
	ClientDocuments string
	// ClientDocumentHosts are the hosts of such addresses, * for every one, and
	// ClientDocumentDeniedHosts those of them that are refused.
	ClientDocumentHosts, ClientDocumentDeniedHosts string
	// ClientDocumentMax bounds how many such clients people gave something.
	ClientDocumentMax int
	// AttesterJWKS are the keys of those who attest instances of clients that
	// name no attesters of their own, as a JWK set, or "none".
	AttesterJWKS string
	// Risk says what is done about what looks wrong.
	Risk Risk
	// SoftwareStatementIssuers are those whose software statements count, with
	// their keys; see ParseKeyIssuers.
	SoftwareStatementIssuers string

	// OperatorACR and OperatorFresh are what a dangerous operation of the admin
	// API takes of a person: the least assurance of the sign-in, and its age.
	OperatorACR   string
	OperatorFresh time.Duration

	// DecisionLog is how long the decisions of the policies are kept with what they
	// rested on; 0: none is written down. DecisionLogMasked are names of values that
	// are left out, such as context.ip, or none.
	DecisionLog       time.Duration
	DecisionLogMasked string
	// DecisionDetail is what callers of the decision service are told beside yes
	// and no: DetailNone, DetailReasons or DetailFull.
	DecisionDetail string

	// What passkeys may be and where they are used: see passkeyFields.
	PasskeyRPID, PasskeyRelatedOrigins, PasskeyVerification, PasskeyHints, PasskeyBinding            string
	PasskeyAttestation, PasskeyAttestationCA, PasskeyModelList, PasskeyDeniedList, PasskeyRegression string
}

// Field describes one setting: for validation, for the admin API and for the
// reference page.
type Field struct {
	Name, Help      string // Help is the description in the admin API and in the reference
	Kind            string // "duration", "integer", "list" (of words) or "text"
	Default         string
	Min, Max        string // inclusive; empty for text
	least, most     int64  // nanoseconds for durations
	pattern         *regexp.Regexp
	check           func(string) error // of a text, besides its pattern; may be nil
	duration        func(*Settings) *time.Duration
	integer         func(*Settings) *int
	text            func(*Settings) *string
	defaultDuration time.Duration
	defaultInteger  int
}

const day = 24 * time.Hour

var fields = slices.Concat(generalFields, accessFields, passkeyFields, riskFields)

var generalFields = []Field{
	duration("access_token_ttl", "Life of an access token. A client may have a shorter one.", 10*time.Minute, 10*time.Second, day, func(s *Settings) *time.Duration { return &s.AccessTokenTTL }),
	duration("id_token_ttl", "Life of an ID token. A client may have a shorter one.", 10*time.Minute, 10*time.Second, day, func(s *Settings) *time.Duration { return &s.IDTokenTTL }),
	duration("code_ttl", "Life of an authorization code; no code lives longer than 1m.", time.Minute, 5*time.Second, 10*time.Minute, func(s *Settings) *time.Duration { return &s.CodeTTL }),
	duration("refresh_idle", "A refresh token dies when unused for so long. At most refresh_absolute; a client may have less.", 30*day, time.Minute, 400*day, func(s *Settings) *time.Duration { return &s.RefreshIdle }),
	duration("refresh_absolute", "A refresh family dies after so long, used or not. A client may have less.", 90*day, time.Minute, 800*day, func(s *Settings) *time.Duration { return &s.RefreshAbsolute }),
	duration("session_idle", "A session ends when unused for so long. At most session_absolute.", 12*time.Hour, time.Minute, 90*day, func(s *Settings) *time.Duration { return &s.SessionIdle }),
	duration("session_absolute", "A session ends after so long, used or not.", 30*day, time.Minute, 400*day, func(s *Settings) *time.Duration { return &s.SessionAbsolute }),
	integer("password_min_length", "Least characters of a password that is the only factor.", 15, 15, 64, func(s *Settings) *int { return &s.PasswordMinLength }),
	{Name: "advice", Help: "What people are told about passwords, passkeys, phishing and where to report, in the place of the product's words: a JSON object of languages and topics (password, passkey, phishing, report) with plain text, in a string.", Kind: "text", Default: "{}",
		pattern: regexp.MustCompile(`^\{[\s\S]*\}$`), check: checkAdvice, text: func(s *Settings) *string { return &s.AdviceTexts }},
	duration("password_max_age", "A password must be replaced after so long; 0s: never. Leave it so unless a regulator obliges you: people answer with patterns, and passwords get weaker.", 0, 0, 3650*day, func(s *Settings) *time.Duration { return &s.PasswordMaxAge }),
	integer("password_history", "How many earlier passwords may not be chosen again, whose hashes are kept for that; 0: none. Leave it so unless a regulator obliges you.", 0, 0, 10, func(s *Settings) *int { return &s.PasswordHistory }),
	integer("guess_limit", "Wrong passwords evaluated for one account, and wrong device codes looked up, within guess_window.", 10, 1, 100, func(s *Settings) *int { return &s.GuessLimit }),
	duration("guess_window", "Time in which guess_limit applies.", 15*time.Minute, time.Minute, day, func(s *Settings) *time.Duration { return &s.GuessWindow }),
	{Name: "least_acr", Help: "Least assurance of a sign-in: aal1 (one factor), aal2 (two) or aal3 (a device-bound passkey that passed an attestation policy).", Kind: "text", Default: "aal1",
		pattern: regexp.MustCompile(`^aal[123]$`), text: func(s *Settings) *string { return &s.LeastACR }},
	duration("enrol_grace", "How long somebody may go on without the factor that least_acr demands; 0s: it is set up at the next sign-in.", 0, 0, 90*day, func(s *Settings) *time.Duration { return &s.EnrolGrace }),
	{Name: "factors", Help: "Ways to prove who one is that count: words of password, totp, recovery, passkey and email, or * for all.", Kind: "list", Default: "*",
		pattern: words, check: checkFactors, text: func(s *Settings) *string { return &s.Factors }},
	duration("assurance_life", "How long a proof counts for more than aal1.", 30*day, time.Minute, 400*day, func(s *Settings) *time.Duration { return &s.AssuranceLife }),
	duration("remember_device", "How long a device is not asked for a second factor again, if its owner wishes so; 0s: never.", 0, 0, 90*day, func(s *Settings) *time.Duration { return &s.RememberDevice }),
	{Name: "totp_algorithm", Help: "Algorithm of time-based codes of new authenticator apps. All apps know SHA1.", Kind: "text", Default: "SHA1",
		pattern: regexp.MustCompile(`^SHA(1|256|512)$`), text: func(s *Settings) *string { return &s.TOTPAlgorithm }},
	integer("max_token_bytes", "An access token larger than this is not issued.", 1024, 512, 16384, func(s *Settings) *int { return &s.MaxTokenBytes }),
	duration("key_rotation", "A signing key signs for so long before the next takes over.", 90*day, day, 800*day, func(s *Settings) *time.Duration { return &s.KeyRotation }),
	{Name: "default_language", Help: "Language of pages for browsers that ask for none there is: a BCP 47 tag.", Kind: "text", Default: "en",
		pattern: regexp.MustCompile(`^[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}$`), text: func(s *Settings) *string { return &s.DefaultLanguage }},
	{Name: "dpop_nonce", Help: "Whether DPoP proofs must hold a nonce of the server (RFC 9449).", Kind: "text", Default: "optional",
		pattern: regexp.MustCompile(`^(optional|required)$`), text: func(s *Settings) *string { return &s.DPoPNonce }},
	{Name: "profile", Help: "Rules for every client of the realm: default (OAuth 2.1), mcp (Model Context Protocol) or fapi2 (FAPI 2.0). Refused while a client contradicts them.", Kind: "text", Default: "default",
		pattern: regexp.MustCompile(`^(default|mcp|fapi2)$`), text: func(s *Settings) *string { return &s.Profile }},
	{Name: "signed_requests", Help: "Whether clients must sign their authorization requests (RFC 9101, FAPI 2.0 Message Signing).", Kind: "text", Default: "optional",
		pattern: regexp.MustCompile(`^(optional|required)$`), text: func(s *Settings) *string { return &s.SignedRequests }},
	{Name: "signed_responses", Help: "Whether answers to authorization requests are always signed (JARM, FAPI 2.0 Message Signing).", Kind: "text", Default: "optional",
		pattern: regexp.MustCompile(`^(optional|required)$`), text: func(s *Settings) *string { return &s.SignedResponses }},
	{Name: "tls_client_ca", Help: "CAs of the certificates of clients, as PEM (RFC 8705).", Kind: "text",
		pattern: regexp.MustCompile(`^[ -~\r\n]*$`), check: checkCAs, text: func(s *Settings) *string { return &s.TLSClientCA }},
	{Name: "approval_webhook", Help: "Address (https) that is told, in a token that the realm signs, that a request waits for somebody at /account/approvals.", Kind: "text",
		pattern: regexp.MustCompile(`^(https://[!-~]+)?$`), check: checkWebhook, text: func(s *Settings) *string { return &s.ApprovalWebhook }},
	{Name: "email_sign_in", Help: "Whether people who have nothing stronger may sign in by a code that is mailed to them. It reaches the first assurance level only. Needs mail.", Kind: "text", Default: "off",
		pattern: regexp.MustCompile(`^(off|on)$`), text: func(s *Settings) *string { return &s.EmailSignIn }},
	{Name: "mail_reply_to", Help: "Address where answers to mail of the realm go.", Kind: "text",
		pattern: regexp.MustCompile(`^\S{0,254}$`), check: checkMailAddress, text: func(s *Settings) *string { return &s.MailReplyTo }},
	{Name: "mail_footer", Help: "Last lines of every mail of the realm, such as who answers for it; at most 500 characters.", Kind: "text",
		pattern: regexp.MustCompile(`^[\pL\pM\pN\pP\pS \n]{0,500}$`), text: func(s *Settings) *string { return &s.MailFooter }},

	{Name: "self_registration", Help: "Whether strangers may make themselves an account by proving an e-mail address. Needs mail.", Kind: "text", Default: "off",
		pattern: onOff, text: func(s *Settings) *string { return &s.SelfRegistration }},
	list("self_registration_domains", "Domains of the addresses with which strangers may make themselves an account, such as example.com or *.example.com, or * for all.", "*", func(s *Settings) *string { return &s.SelfRegistrationDomains }),
	{Name: "forgotten_password", Help: "Whether people may reset a forgotten password by mail. Needs mail.", Kind: "text", Default: On,
		pattern: onOff, text: func(s *Settings) *string { return &s.ForgottenPassword }},
	{Name: "account_deletion", Help: "Whether people may delete their own account.", Kind: "text", Default: On,
		pattern: onOff, text: func(s *Settings) *string { return &s.AccountDeletion }},
	duration("deletion_grace", "How long an account that its owner deleted can be kept by signing in.", 14*day, time.Hour, 90*day, func(s *Settings) *time.Duration { return &s.DeletionGrace }),

	{Name: "registration", Help: "Who may register clients without an operator (RFC 7591).", Kind: "text", Default: RegistrationOff,
		pattern: regexp.MustCompile(`^(off|initial_access_token|open)$`), text: func(s *Settings) *string { return &s.Registration }},
	list("registration_grant_types", "Grant types that clients may register for.", "authorization_code refresh_token", func(s *Settings) *string { return &s.RegistrationGrantTypes }),
	list("registration_auth_methods", "Ways to authenticate that clients may register for.", "none client_secret_basic client_secret_post private_key_jwt", func(s *Settings) *string { return &s.RegistrationAuthMethods }),
	{Name: "registration_scopes", Help: "Scopes that clients may register for.", Kind: "list", Default: "openid profile email address phone offline_access",
		pattern: words, check: checkOpenScopes, text: func(s *Settings) *string { return &s.RegistrationScopes }},
	list("registration_resources", "Audiences that clients which register themselves may ask tokens for, or none.", None, func(s *Settings) *string { return &s.RegistrationResources }),
	list("registration_authorization_details_types", "Types of authorization details that clients may register for (RFC 9396), or none.", None, func(s *Settings) *string { return &s.RegistrationDetailTypes }),
	list("registration_redirect_hosts", "Hosts of redirect URIs that clients may register, such as *.example.com, and schemes such as com.example.app:, or * for all.", "*", func(s *Settings) *string { return &s.RegistrationRedirectHosts }),
	{Name: "registration_pkce", Help: "Whether confidential clients that register themselves must use PKCE.", Kind: "text", Default: "required",
		pattern: regexp.MustCompile(`^(required|optional)$`), text: func(s *Settings) *string { return &s.RegistrationPKCE }},
	integer("registration_max_clients", "Most clients that registered themselves.", 1000, 1, 100_000, func(s *Settings) *int { return &s.RegistrationMaxClients }),
	duration("registration_unused", "A client that registered itself is deleted when nobody gave it anything for so long.", 30*day, time.Hour, 400*day, func(s *Settings) *time.Duration { return &s.RegistrationUnused }),
	{Name: "registration_software_statement", Help: "Whether a client that registers itself must show a software statement.", Kind: "text", Default: "optional",
		pattern: regexp.MustCompile(`^(required|optional)$`), text: func(s *Settings) *string { return &s.RegistrationSoftwareStatement }},
	{Name: "software_statement_issuers", Help: "Whose software statements count: a JSON object of issuers and their key sets, in a string.", Kind: "text", Default: "{}",
		pattern: object, check: checkIssuers, text: func(s *Settings) *string { return &s.SoftwareStatementIssuers }},

	{Name: "attester_jwks", Help: "Keys of those who attest instances of clients that name no attesters of their own: a JWK set in a string, or none.", Kind: "text", Default: None,
		pattern: regexp.MustCompile(`^(none|\{[\s -~]*\})$`), check: checkKeySet, text: func(s *Settings) *string { return &s.AttesterJWKS }},

	{Name: "client_id_metadata_documents", Help: "Whether a client id may be the https address of a document about the client; profile: in the profile mcp.", Kind: "text", Default: "profile",
		pattern: regexp.MustCompile(`^(off|on|profile)$`), text: func(s *Settings) *string { return &s.ClientDocuments }},
	{Name: "operator_acr", Help: "Least assurance of the sign-in of an operator who does something dangerous.", Kind: "text", Default: "aal2",
		pattern: regexp.MustCompile(`^aal[123]$`), text: func(s *Settings) *string { return &s.OperatorACR }},
	duration("operator_fresh", "How old the sign-in of an operator who does something dangerous may be.", 15*time.Minute, time.Minute, 30*day, func(s *Settings) *time.Duration { return &s.OperatorFresh }),

	list("client_id_metadata_document_hosts", "Hosts of documents about clients, such as *.example.com, or * for all.", "*", func(s *Settings) *string { return &s.ClientDocumentHosts }),
	list("client_id_metadata_document_denied_hosts", "Hosts of documents about clients that are refused, or none.", None, func(s *Settings) *string { return &s.ClientDocumentDeniedHosts }),
	integer("client_id_metadata_document_max", "Most clients known by such documents that people gave something.", 1000, 1, 100_000, func(s *Settings) *int { return &s.ClientDocumentMax }),
}

// On is the value of a setting that is on or off.
const On = "on"

// words is a list of words; object is JSON.
var (
	onOff  = regexp.MustCompile(`^(on|off)$`)
	words  = regexp.MustCompile(`^[!-~]+( [!-~]+)*$`)
	object = regexp.MustCompile(`^\{[\s -~]*\}$`)
)

func list(name, help, def string, at func(*Settings) *string) Field {
	return Field{Name: name, Help: help, Kind: "list", Default: def, pattern: words, check: checkList, text: at}
}

func checkWebhook(text string) error {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || len(text) > 2000) {
		return errors.New("must be a plain https address")
	}
	return nil
}

// Relaxed names what of the settings is not as strict as it should be, or makes
// things worse, and what to do.
func (s *Settings) Relaxed() (out []string) {
	if s.PasswordMaxAge > 0 {
		out = append(out, "passwords expire: people answer with patterns, and passwords get weaker (NIST SP 800-63B-4, section 3.1.1.2); unless a regulator obliges you, set password_max_age to 0s")
	}
	if s.PasswordHistory > 0 {
		out = append(out, "hashes of earlier passwords are kept, which helps nobody where passwords do not expire; unless a regulator obliges you, set password_history to 0")
	}
	if s.OperatorACR == "aal1" {
		out = append(out, "operators do what is dangerous with one factor; set operator_acr to aal2")
	}
	if s.OperatorFresh > time.Hour {
		out = append(out, "operators do what is dangerous with a sign-in of long ago; set operator_fresh to 15m")
	}
	if s.Registration == RegistrationOpen {
		out = append(out, "anybody may register clients; set registration to initial_access_token")
	}
	if s.Registration != RegistrationOff && s.RegistrationPKCE == "optional" {
		out = append(out, "clients that register themselves may leave PKCE out: a stolen code can be redeemed by whoever holds the client's secret; set registration_pkce to required")
	}
	if s.PasskeyVerification == VerificationPreferred {
		out = append(out, "beside a password, a passkey counts on a device that did not verify its owner; set passkey_user_verification to required")
	}
	if s.PasskeyRegression == RegressionReport {
		out = append(out, "a passkey whose counter went back, as that of a copy does, is only reported; set passkey_regression to refuse")
	}
	for _, f := range riskFields {
		if *f.text(s) == "off" {
			out = append(out, f.Name+" is off: nothing is done about what it finds; set it to "+f.Default)
		}
	}
	return out
}

// RegistersDomain reports whether somebody with the address may make themselves
// an account, as far as its domain is concerned.
func (s *Settings) RegistersDomain(address string) bool {
	_, domain, _ := strings.Cut(address, "@")
	return ListsHost(List(s.SelfRegistrationDomains), strings.ToLower(domain))
}

// DPoPNonceRequired reports whether every DPoP proof must hold a nonce of ours.
func (s *Settings) DPoPNonceRequired() bool { return s.DPoPNonce == "required" }

// Fields lists every setting with its default and bounds.
func Fields() []Field { return slices.Clone(fields) }

// DefaultSettings are those of a realm whose operators decided nothing.
func DefaultSettings() Settings {
	var s Settings
	for _, f := range fields {
		f.reset(&s)
	}
	return s
}

// MarshalJSON writes every setting by name.
func (s Settings) MarshalJSON() ([]byte, error) { return json.Marshal(s.values(true)) }

// values are the settings by name: all, or those that are not the default.
func (s Settings) values(all bool) map[string]any {
	m := map[string]any{}
	for _, f := range fields {
		if v := f.format(&s); all || v != f.Default {
			m[f.Name] = v
			if f.integer != nil {
				m[f.Name] = *f.integer(&s)
			}
		}
	}
	return m
}

// with returns s changed by m. Unknown names and values out of bounds are
// refused, all at once.
func (s Settings) with(m map[string]any) (Settings, error) {
	problems := fault.New(fault.Invalid, "settings_invalid", "the realm's settings are not valid")
	for name, v := range m {
		i := slices.IndexFunc(fields, func(f Field) bool { return f.Name == name })
		if i < 0 {
			problems.WithField("settings."+name, "there is no such setting")
			continue
		}
		if v == nil {
			fields[i].reset(&s)
			continue
		}
		if err := fields[i].set(&s, v); err != nil {
			problems.WithField("settings."+name, err.Error())
		}
	}
	if s.RefreshIdle > s.RefreshAbsolute {
		problems.WithField("settings.refresh_idle", "must not exceed refresh_absolute")
	}
	if s.SessionIdle > s.SessionAbsolute {
		problems.WithField("settings.session_idle", "must not exceed session_absolute")
	}
	s.checkPasskeys(func(field, problem string) { problems.WithField("settings."+field, problem) })
	if len(problems.Fields) > 0 {
		return s, problems
	}
	return s, nil
}

func duration(name, help string, def, least, most time.Duration, at func(*Settings) *time.Duration) Field {
	return Field{Name: name, Help: help, Kind: "duration", Default: formatDuration(def), Min: formatDuration(least), Max: formatDuration(most),
		least: int64(least), most: int64(most), duration: at, defaultDuration: def}
}

func integer(name, help string, def, least, most int, at func(*Settings) *int) Field {
	return Field{Name: name, Help: help, Kind: "integer", Default: strconv.Itoa(def), Min: strconv.Itoa(least), Max: strconv.Itoa(most),
		least: int64(least), most: int64(most), integer: at, defaultInteger: def}
}

func (f Field) reset(s *Settings) {
	switch {
	case f.duration != nil:
		*f.duration(s) = f.defaultDuration
	case f.integer != nil:
		*f.integer(s) = f.defaultInteger
	default:
		*f.text(s) = f.Default
	}
}

func (f Field) format(s *Settings) string {
	switch {
	case f.duration != nil:
		return formatDuration(*f.duration(s))
	case f.integer != nil:
		return strconv.Itoa(*f.integer(s))
	default:
		return *f.text(s)
	}
}

// set takes a value as JSON delivers it.
func (f Field) set(s *Settings, v any) error {
	switch {
	case f.duration != nil:
		text, ok := v.(string)
		d, err := ParseDuration(text)
		if !ok || err != nil {
			return fmt.Errorf("must be a time such as %s", f.Default)
		}
		if int64(d) < f.least || int64(d) > f.most {
			return fmt.Errorf("must be from %s to %s", f.Min, f.Max)
		}
		*f.duration(s) = d
	case f.integer != nil:
		n, ok := whole(v)
		if !ok || n < f.least || n > f.most {
			return fmt.Errorf("must be a whole number from %s to %s", f.Min, f.Max)
		}
		*f.integer(s) = int(n)
	default:
		text, ok := v.(string)
		if !ok || !f.pattern.MatchString(text) {
			return fmt.Errorf("must look like %q", f.Default)
		}
		if f.check != nil {
			if err := f.check(text); err != nil {
				return err
			}
		}
		*f.text(s) = text
	}
	return nil
}

func whole(v any) (int64, bool) {
	switch n := v.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	case float64:
		return int64(n), n == float64(int64(n))
	case json.Number:
		i, err := n.Int64()
		return i, err == nil
	}
	return 0, false
}

// ParseDuration reads a time as Go does, and days: 90s, 1h30m, 30d.
func ParseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number of days", text)
		}
		return time.Duration(n) * day, nil
	}
	return time.ParseDuration(text)
}

func formatDuration(d time.Duration) string {
	switch {
	case d >= day && d%day == 0:
		return strconv.Itoa(int(d/day)) + "d"
	case d >= time.Hour && d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d >= time.Minute && d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return d.String()
}

// knownFactors are the ways to prove who one is, by the names that settings
// give them.
var knownFactors = []string{"password", "totp", "recovery", "passkey", "email"}

// KnownFactor reports whether a name is that of a way to prove who one is.
func KnownFactor(name string) bool { return slices.Contains(knownFactors, name) }

func checkFactors(text string) error {
	if text == "*" {
		return nil
	}
	list := strings.Fields(text)
	if i := slices.IndexFunc(list, func(name string) bool { return !KnownFactor(name) }); i >= 0 {
		return fmt.Errorf("there is no factor %q: there are %s", list[i], strings.Join(knownFactors, ", "))
	}
	if !slices.Contains(list, "password") && !slices.Contains(list, "passkey") {
		return errors.New("must hold password or passkey, or nobody could sign in")
	}
	return nil
}

// AllowsFactor reports whether a way to prove who one is counts in the realm.
func (s *Settings) AllowsFactor(kind string) bool {
	return s.Factors == "*" || slices.Contains(strings.Fields(s.Factors), kind)
}
