// Package config owns how the program is told what to do: one documented
// struct, filled from defaults, then cardea.yaml, then CARDEA_* variables, then
// flags. Unknown keys are refused and every problem is reported at once.
//
// What can change while the program runs (realms, clients, people, lifetimes)
// is not configuration; it lives in the database.
package config

import (
	"net/netip"
	"time"

	"github.com/cardea-id/cardea/internal/secret"
)

// Config is everything a node is told. The comments of its fields are the
// reference page docs/reference/configuration.md.
type Config struct {
	// The URL under which browsers and applications reach the default realm,
	// without a trailing slash. It appears in every token, link and discovery
	// document, and is never taken from a request. Plain http is accepted for
	// localhost and loopback addresses only; any other issuer makes this a
	// production node, which insists on a master key of its own.
	Issuer string `key:"issuer" default:"http://localhost:8080" help:"URL under which the world reaches Cardea"`

	// The address on which pages, protocols and the admin API are served.
	Listen string `key:"listen" default:"127.0.0.1:8080" help:"address to serve on"`

	// The folder for the SQLite database and, on a development node, the
	// generated master key. It is made with mode 0700 and refused when other
	// users of the machine can enter it.
	Data string `key:"data" default:"data" help:"folder for the database and generated keys"`

	// How long a node that was asked to stop lets running requests finish.
	Drain time.Duration `key:"drain" default:"10s" help:"time for running requests to finish on shutdown"`

	// The networks of reverse proxies in front of this node. Only from them are
	// X-Forwarded-For and X-Forwarded-Proto believed, and only to learn the
	// caller's address. In the environment and in flags: separated by commas.
	TrustedProxies []netip.Prefix `key:"trusted_proxies" help:"networks whose forwarding headers are believed"`

	// The key under which signing keys and other secrets are encrypted at rest:
	// 32 bytes as base64 or hexadecimal, for example from openssl rand -base64 32.
	// Whoever has it and the database can sign as any realm. A development node
	// without one generates the file master.key in its data folder; a production
	// node refuses to start. Losing it loses every signing key.
	MasterKey secret.Text `key:"master_key" help:"key that encrypts secrets at rest"`

	// Where state is kept.
	Database Database `key:"database"`

	// Serving https directly, without a proxy that does it.
	TLS TLS `key:"tls"`

	// How clients show certificates (RFC 8705). Without any of these settings
	// nobody is asked for one and none counts.
	MTLS MTLS `key:"mtls"`

	// What Cardea itself may reach.
	Fetch Fetch `key:"fetch"`

	// Where policy folders may be followed.
	Policies Policies `key:"policies"`

	// The server through which people are sent mail. Without it nobody is: what
	// needs mail says so on its page, and operators hand out links themselves.
	Mail Mail `key:"mail"`

	// The listener for metrics and profiles.
	Metrics Metrics `key:"metrics"`

	// What is logged, and how.
	Log Log `key:"log"`

	// Rules for passwords that come from files rather than from the realm.
	Passwords Passwords `key:"passwords"`
	GeoIP     GeoIP     `key:"geoip"`

	// How often one caller may ask. Guess limits on passwords are not here: they
	// are exact, kept in the database and set per realm.
	Rates Rates `key:"rates"`

	// What decisions about access are made from.
	Access Access `key:"access"`

	// The demonstration that cardea dev starts beside the server.
	Demo Demo `key:"demo"`

	origins   map[string]string
	strangers []string // of the environment: see strangers
}

// Database says where state is kept.
type Database struct {
	// A PostgreSQL URL (postgres://user:password@host/name), or the path of a
	// SQLite file. Empty means cardea.db in the data folder.
	URL secret.Text `key:"url" help:"PostgreSQL URL or path of a SQLite file"`

	// A PostgreSQL URL that reaches the server without a transaction pooler such
	// as PgBouncer, used only to LISTEN for news. Empty means the URL above;
	// where LISTEN does not work, a node polls every 50 ms.
	DirectURL secret.Text `key:"direct_url" help:"PostgreSQL URL that bypasses a pooler, for LISTEN"`

	// The most connections a node opens to PostgreSQL. 0 lets it choose by the
	// number of processors.
	MaxConnections int `key:"max_connections" default:"0" help:"most connections to PostgreSQL, 0 to choose"`
}

// TLS names the certificate to serve with.
type TLS struct {
	// The certificate chain as a PEM file. When the file changes it is read
	// again within ten seconds; a broken new file leaves the old one in use.
	CertFile string `key:"cert_file" help:"PEM file of the certificate chain"`

	// The private key as a PEM file that other users of the machine cannot read.
	KeyFile string `key:"key_file" help:"PEM file of the private key"`
}

// MTLS says how clients show certificates.
type MTLS struct {
	// Whether the address in listen asks for certificates. Browsers that have
	// some may then ask people to choose one; a second address spares them.
	Request bool `key:"request" default:"false" help:"ask for client certificates on listen"`

	// A second address that serves the same with the same certificate and asks
	// for the client's. Both need tls.cert_file.
	Listen string `key:"listen" help:"second address, which asks for client certificates"`

	// The origin under which clients that show a certificate reach Cardea, if it
	// is not the issuer's, such as https://mtls.id.example.com. Discovery
	// announces it as mtls_endpoint_aliases.
	URL string `key:"url" help:"origin for clients with certificates, if not the issuer's"`

	// The header in which the proxies of trusted_proxies pass on the client's
	// certificate, when they end TLS: Client-Cert means RFC 9440, any other name
	// a PEM certificate in URL encoding, as nginx has it in
	// $ssl_client_escaped_cert. The proxy must remove the header from what
	// clients send. From all others it is ignored.
	Header string `key:"header" help:"header with the client certificate, from trusted proxies only"`
}

// Fetch says what Cardea may reach at addresses that clients registered:
// jwks_uri, backchannel_logout_uri and the like.
type Fetch struct {
	// Hosts with ports, such as crm.internal:8443, that may be reached although
	// their addresses are private, and by http. All others are reached by https
	// at public addresses only, so that nobody who registers a client can make
	// Cardea knock at doors of your network. A development node also reaches
	// localhost. In the environment and in flags: separated by commas.
	AllowHosts []string `key:"allow_hosts" help:"host:port of private services that may be called"`
}

// Policies says where realms may follow policy folders besides repositories.
type Policies struct {
	// Directories of this machine below which realms may follow policy folders,
	// as absolute paths. Links do not lead out of them. Empty: only repositories
	// are followed, which are reached like everything that fetch is about. In the
	// environment and in flags: separated by commas.
	Directories []string `key:"directories" help:"directories below which policy folders may be followed"`
}

// Mail says how people are sent mail.
type Mail struct {
	// The SMTP server that takes mail from this node, as host:port, such as
	// smtp.example.com:587. Empty: no mail is sent.
	Server string `key:"server" help:"SMTP server as host:port"`

	// How the connection is protected: starttls asks for TLS and sends nothing to
	// a server that offers none, implicit speaks TLS from the first byte (port
	// 465), opportunistic does without TLS where the server offers none, so that
	// whoever sits between can read every link and code. auto is implicit for port
	// 465, opportunistic for a server on this machine, and starttls for all
	// others. Certificates are verified in every case.
	TLS string `key:"tls" default:"auto" help:"auto, starttls, implicit or opportunistic"`

	// A PEM file with the authorities whose certificates of the server count,
	// instead of the system's.
	CAFile string `key:"ca_file" help:"PEM file of the authorities of the mail server's certificate"`

	// The name to authenticate with, if the server wants one.
	Username string `key:"username" help:"name to authenticate with at the mail server"`

	// The password that goes with it. Without TLS it is sent to this machine only.
	Password secret.Text `key:"password" help:"password for the mail server"`

	// The address that mail comes from. Its domain should name the server in its
	// SPF record and sign with DKIM, or mail will be taken for spam.
	From string `key:"from" help:"address that mail comes from"`

	// Where answers go, if not to the address above. A realm may have its own
	// (setting mail_reply_to).
	ReplyTo string `key:"reply_to" help:"address for answers to mail"`

	// How long one message may take, at most 25s. What did not get through is
	// tried again for about a day.
	Timeout time.Duration `key:"timeout" default:"20s" help:"time for one message"`
}

// Metrics is the listener for operators' tools.
type Metrics struct {
	// A loopback address that serves /metrics and /debug/pprof. Empty turns it
	// off; any other address is refused.
	Listen string `key:"listen" help:"loopback address for metrics and profiles"`
}

// Log says what is logged.
type Log struct {
	// The least important level that is written: debug, info, warn or error.
	Level string `key:"level" default:"info" help:"debug, info, warn or error"`

	// json for machines, text for people.
	Format string `key:"format" default:"json" help:"json or text"`
}

// Access says how decisions are made.
type Access struct {
	// How many relations and attributes, of all realms together, a node keeps in
	// memory; a hundred bytes each is a fair guess. A realm that has more by itself
	// is answered from the database: questions, one or many at once, searches and
	// filters of applications, all of them slower. What looks at all of its facts
	// is refused (facts_too_many): reviews, unused access, plans of policies,
	// filters shown to operators, edges and agents of OPA.
	FactsInMemory int `key:"facts_in_memory" default:"12000000" help:"most relations and attributes in memory"`
}

// Passwords names files that passwords are compared with.
type Passwords struct {
	// A file of breached passwords, one SHA-1 in hexadecimal per line, sorted;
	// counts after a colon are ignored. New passwords found in it are refused.
	BreachFile string `key:"breach_file" help:"sorted file of SHA-1 hashes of breached passwords"`
	// An address that answers to five hexadecimal digits put behind it with the
	// rest of the SHA-1 of every breached password that begins so, such as
	// https://api.pwnedpasswords.com/range/. The password does not leave the node;
	// that somebody chooses one now does.
	RangeURL string `key:"range_url" help:"k-anonymity service for breached passwords"`
	// What happens while that service does not answer: open lets passwords pass,
	// closed has people try again later.
	RangeFailure string `key:"range_failure" default:"open" help:"open or closed"`
}

// GeoIP names the file that tells in which country an address is.
type GeoIP struct {
	// A file in the MaxMind DB format with countries, and coordinates if you
	// like. Without it sign-ins have no place, and what looks at places is
	// silent. It is read at start: put a newer file in its place by renaming.
	File string `key:"file" help:"MaxMind DB file that tells in which country an address is"`
}

// Rates bounds how often one caller may ask, as count/duration.
type Rates struct {
	// Reading requests of one operator to the admin API.
	AdminRead Rate `key:"admin_read" default:"6000/1m" help:"reading admin requests per operator"`

	// Changing requests of one operator to the admin API.
	AdminWrite Rate `key:"admin_write" default:"1200/1m" help:"changing admin requests per operator"`

	// Admin requests that make or show a secret, per operator.
	AdminSecret Rate `key:"admin_secret" default:"120/1m" help:"admin requests that make a secret, per operator"`

	// Admin requests refused for want of a good token, per address.
	AdminRefused Rate `key:"admin_refused" default:"120/1m" help:"refused admin requests per address"`

	// Questions of one caller to the decision service; a batch is one.
	AccessAsk Rate `key:"access_ask" default:"3000000/1m" help:"questions to the decision service per caller"`

	// Searches of one caller in the decision service.
	AccessSearch Rate `key:"access_search" default:"30000/1m" help:"searches in the decision service per caller"`

	// Requests to the decision service refused for want of a good credential, per
	// address.
	AccessRefused Rate `key:"access_refused" default:"600/1m" help:"refused requests to the decision service per address"`
}

// Demo is where cardea dev serves the demonstration.
type Demo struct {
	// The address of the demonstration's web application.
	AppListen string `key:"app_listen" default:"127.0.0.1:8081" help:"address of the demo application"`

	// The address of the demonstration's protected API.
	APIListen string `key:"api_listen" default:"127.0.0.1:8082" help:"address of the demo API"`
}
