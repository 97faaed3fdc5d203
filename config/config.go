// Package config turns a YAML file, the environment and the command line into one checked value.
//
// Flags beat the environment, the environment beats the file, the file beats the defaults. The result is
// read once and not changed afterwards; packages are handed the fields they need, never the Config.
// The comments of the fields below are the manual: docs/configuration.md is generated from them.
package config

import "time"

// Config is everything an operator can say. Load is the only way to a checked one.
//
// The tags say what Load checks and the manual repeats: key is the name in the file, kind the form of a
// text, min and max its range, oneof the words it may be, need that it may not be empty, reload what a
// reload does about it (value: takes it, file: reads the file again; without it, a change needs a restart).
type Config struct {
	// The directory of everything that must survive: the journal of accepted events, sealed batches, dead
	// letters. It is created with permissions 0700. Events in it are pending usage: do not delete it
	// before `pending` is zero. With `serve --sandbox` the default is `./reporterd-data`.
	DataDir string `key:"data_dir" need:"true"`

	// Where producers send: host:port, or unix:/path/to.sock. Port 0 takes a free port, which the log
	// names.
	Listen string `key:"listen" kind:"address" need:"true"`

	// HTTPS on the traffic listener.
	TLS TLS `key:"tls"`
	// Who may send.
	Auth Auth `key:"auth"`
	// Allows `listen`, `admin.listen` and `nats.listen` to be reachable from other machines without authentication. When false,
	// such an address needs `auth.tokens_file` or `tls.client_ca_file`, and `admin.tokens_file` or `admin.tls.client_ca_file`.
	// Set it only where a proxy or the network authenticates clients.
	Insecure bool `key:"insecure"`
	// How much of the daemon one client may take.
	Limits Limits `key:"limits"`
	// The admin listener: health, status, metrics, dead letters.
	Admin Admin `key:"admin"`
	// The 3scale backend that reports go to.
	Backend Backend `key:"backend"`

	// The services events may be for. It is a list, so that ids keep their case and their dots. It can be
	// empty while `backend.passthrough` is on: then only 3scale calls with credentials of their own are
	// taken.
	Services []Service `key:"services"`

	// How events become reports.
	Batch Batch `key:"batch"`
	// How events are kept.
	Spool Spool `key:"spool"`
	// Dead letters of what was never acknowledged.
	DeadLetters DeadLetters `key:"dead_letters"`
	// Replicas that share a spool in JetStream, with `spool.engine: jetstream`. The servers are those of
	// `nats.url`.
	Cluster Cluster `key:"cluster"`
	// How reports are delivered.
	Sender Sender `key:"sender"`
	// How authorizations are answered.
	Authorize Authorize `key:"authorize"`
	// How repeated events are recognised.
	Dedupe Dedupe `key:"dedupe"`
	// Events from NATS.
	NATS NATS `key:"nats"`
	// The stand-in backend of `serve --sandbox`.
	Sandbox Sandbox `key:"sandbox"`
	// What was accepted, delivered and lost, by service, application, metric and hour.
	Ledger Ledger `key:"ledger"`
	// 3scale's admin portal, for Analytics and Account Management.
	Portal Portal `key:"portal"`
	// Holding the ledger against what 3scale counted. It needs `portal` and `ledger`.
	Reconcile Reconcile `key:"reconcile"`
	// The file of the sources: kept questions whose answers dashboards read, each with a token of its own; docs/sources.md has its
	// form. A reload reads it again. Empty: `sources.yaml` in the directory of the configuration, if it is there, or in `data_dir`
	// where there is no configuration file. The console's page writes it, if the daemon may: a service of systemd may not in /etc.
	Sources string `key:"sources" kind:"file" reload:"file"`
	// A listener for the answers of the sources and for dashboards, to whom shows their tokens. It serves nothing else.
	Reader Reader `key:"reader"`
	// A listener for proxies that ask whether a call of an API may pass; docs/gateways.md.
	Gate Gate `key:"gate"`
	// Proxies in front of the listeners; docs/behind-a-proxy.md.
	Proxies Proxies `key:"proxies"`
	// The mode of unix sockets that `listen`, `admin.listen`, `reader.listen` and `gate.listen` name: 0660 for the daemon's user and
	// group, 0666 for every user of the machine. Who may connect to the traffic socket may send events.
	SocketMode string `key:"socket_mode" oneof:"0600,0660,0666"`
	// The daemon's own log, on standard error.
	Log Log `key:"log"`

	// How much memory the daemon may take, about: at least 256MiB. 0B: what the environment variable `GOMEMLIMIT` says, or no
	// limit. At most a third of it is for event ids, a quarter for authorizations, a sixteenth each for requests that are being read
	// and for events that are not cut yet: the keys `dedupe.max_ids` and `authorize.max_bytes` count where they are smaller. The
	// garbage collector keeps the rest of the daemon's memory below what ids may not take. A replica divides the shares by
	// `cluster.partitions`.
	MemoryLimit Size `key:"memory_limit" min:"0B" max:"1PiB"`

	// How long events are still accepted after the order to stop (SIGTERM, SIGINT), while `/readyz` answers 503: a load
	// balancer or an orchestrator needs that long to send its traffic elsewhere. `stop_timeout` begins after it.
	StopDelay time.Duration `key:"stop_delay" min:"0s" max:"10m"`
	// How long a stop (SIGTERM, SIGINT) may take: requests are finished, the window is sealed, what was
	// not tried yet is sent for half of the time, reports in flight get their answer. What is left then stays on disk and goes out after the next start; only a
	// report cut off in flight may be counted twice, so this should be above `backend.timeout`.
	StopTimeout time.Duration `key:"stop_timeout" min:"1s" max:"10m"`

	origins  map[string]string   // owned by Load: where each key that is not a default came from
	warnings []string            // owned by Load
	file     outline             // owned by Load: the file it was read from
	sums     map[string][32]byte // owned by Load: SHA-256 of the files that keys name
}

// TLS is HTTPS on a listener. Its files may be replaced while they are in use: new ones are taken within ten seconds,
// and a reload takes them at once.
type TLS struct {
	// The certificate chain, PEM. Given together with `key_file` or not at all.
	CertFile string `key:"cert_file" kind:"file" reload:"file"`
	// The private key, PEM.
	KeyFile string `key:"key_file" kind:"file" reload:"file"`
	// When given, a client must present a certificate that one of these authorities has signed, PEM.
	ClientCAFile string `key:"client_ca_file" kind:"file" reload:"file"`
}

// Auth says who may send.
type Auth struct {
	// The file of the producers' tokens, each for the services it may send for: docs/access.md has the form,
	// and `reporterd token create` makes an entry. Native calls (`/v1/...`) then need
	// `Authorization: Bearer`; 3scale's own calls carry 3scale's credentials and are judged by those. A
	// reload reads it again. Empty: no tokens are asked for.
	TokensFile string `key:"tokens_file" kind:"file" reload:"file"`
}

// Limits bound what clients may take.
type Limits struct {
	// Connections of the traffic listener. When there are more, the oldest that was never answered anything goes, or
	// the one that was answered longest ago. 0 is no bound.
	MaxConnections int `key:"max_connections" min:"0" max:"1000000"`
	// Connections of one client address; 0 is no bound.
	MaxConnectionsPerAddress int `key:"max_connections_per_address" min:"0" max:"1000000"`
	// Connections of the admin listener; when there are more, the same one goes as on the traffic listener. 0 is no
	// bound of its own. Every listener stays below what the limit of open files (`LimitNOFILE`, `ulimit -n`) leaves
	// beside the files of the spool, also when more is configured: the log states the numbers at the start.
	MaxAdminConnections int `key:"max_admin_connections" min:"0" max:"1000000"`
	// Connections of one client address to the admin listener; 0 is no bound.
	MaxAdminConnectionsPerAddress int `key:"max_admin_connections_per_address" min:"0" max:"1000000"`
	// Connections of the embedded NATS server; what is more is refused. 0 is no bound of its own.
	MaxNATSConnections int `key:"max_nats_connections" min:"0" max:"1000000"`
	// Events a second of each token of `auth.tokens_file` that says nothing else; 0 is no bound. Ten seconds' worth
	// may come at once. What is more is refused with 429 and `Retry-After`.
	EventsPerSecond int `key:"events_per_second" min:"0" max:"100000000"`
}

// Service is one service events may be for. It has a token, a provider key, or both, each given in one way.
type Service struct {
	// The service's id in 3scale, in quotes.
	ID string `key:"id" need:"true"`
	// The service token. It stands in the file itself, so keep the file 0600 or use the next two.
	Token Secret `key:"token"`
	// A file that holds the service token and nothing else; white space around it is dropped.
	TokenFile string `key:"token_file" kind:"file"`
	// The environment variable that holds the service token.
	TokenEnv string `key:"token_env"`
	// The provider key, where the backend is still called with one. Beside a token it is accepted from callers, too, and
	// reports use the token.
	ProviderKey Secret `key:"provider_key"`
	// A file that holds the provider key and nothing else.
	ProviderKeyFile string `key:"provider_key_file" kind:"file"`
	// The environment variable that holds the provider key.
	ProviderKeyEnv string `key:"provider_key_env"`
	// System names of the service's metrics and methods. When given, usage of any other is refused at the
	// door, which protects its neighbours: the backend drops a whole report for one unknown metric.
	Metrics []string `key:"metrics"`
	// Receipts, which make `delivered` mean counted instead of accepted. Off unless `first`, `last` and `metrics` are given;
	// see docs/receipts.md. A change needs a restart.
	Receipts Receipts `key:"receipts"`
}

// Batch is how events become reports.
type Batch struct {
	// How long an event waits to be summed with events that follow; with thousands of services longer, see
	// `batch.max_flush_interval`. `POST /-/flush` does not wait.
	// With `serve --sandbox` the default is 1s.
	FlushInterval time.Duration `key:"flush_interval" min:"10ms" max:"1h"`
	// How long an event waits at most where there are many services. Each service takes a call of its own, however
	// little it has to report. So with more services that have something to report than 500 for each second of
	// `flush_interval`, events wait longer, such that there are about 500 calls a second: 6s with 3,000 services, 10s with
	// 5,000. While the backend is away or behind it is up to 1m: what is summed meanwhile takes fewer calls to
	// deliver. A value below `flush_interval` counts as `flush_interval`. Services that are not listed here make no listed
	// one wait.
	MaxFlushInterval time.Duration `key:"max_flush_interval" min:"10ms" max:"1h"`
	// The most transactions in one report. 3scale documents 1000.
	MaxTransactions int `key:"max_transactions" min:"1" max:"10000"`
	// The most form parameters in one report, credentials included. The backend refuses a report with
	// more than 4096, unless it runs with another setting.
	MaxParams int `key:"max_params" min:"64" max:"1000000"`
	// The most bytes in one report. The backend refuses a report of more than 4MiB, unless it runs with
	// another setting.
	MaxBytes Size `key:"max_bytes" min:"64KiB" max:"64MiB"`
	// Sums the events of one application within one UTC minute into one transaction. This changes no
	// counter and no limit; events with a response code are never summed. When off, every event is a
	// transaction of its own.
	Aggregate bool `key:"aggregate"`
}

// Spool is how events are kept.
type Spool struct {
	// Where the logs live: `file` is the local disk, `jetstream` a NATS JetStream that replicas share: see
	// `cluster`.
	Engine string `key:"engine" oneof:"file,jetstream"`
	// The most bytes the data directory may take. At the limit new events are refused (429 with
	// Retry-After) while delivery goes on. With `serve --sandbox` the default is 1GiB. With
	// `spool.engine: jetstream` it is the limit of the stream, which a replica that starts raises, and does
	// not lower.
	MaxBytes Size `key:"max_bytes" min:"1MiB" max:"1PiB"`
	// Bytes to leave free on the file system for other programs. Below it new events are refused, as above.
	// With `serve --sandbox` the default is 64MiB. With `spool.engine: jetstream` they stay free in the
	// stream, and `max_bytes` has to be larger.
	MinFreeBytes Size `key:"min_free_bytes" min:"0B" max:"1PiB"`
	// `always`: an event is acknowledged once fsynced, and survives a power cut. `never`: once written,
	// and survives a crash of the daemon but not of the machine; for tests.
	Sync string `key:"sync" oneof:"always,never"`
}

// DeadLetters bounds the dead letters of messages that were never acknowledged: plain publishes by NATS that are no
// usage. What was acknowledged is always kept.
type DeadLetters struct {
	// The most bytes such letters may take, apart from `spool.max_bytes`, and at most a sixteenth of it. What is more
	// is counted (`reporterd_nats_unkept_total`) and dropped. Each keeps the first 8 KiB of its message. With
	// `spool.engine: jetstream` this is for each partition.
	RejectedMaxBytes Size `key:"rejected_max_bytes" min:"64KiB" max:"1TiB"`
	// The most such letters.
	RejectedMaxLetters int `key:"rejected_max_letters" min:"1" max:"10000000"`
}

// Cluster is replicas that share a spool.
type Cluster struct {
	// Into how many parts the services are divided. One replica at a time works on each, so it is the most
	// replicas that have work. It is fixed once the stream is made.
	Partitions int `key:"partitions" min:"1" max:"256"`
	// How many copies the NATS servers keep of everything: with 3, one server can be lost.
	Replicas int `key:"replicas" min:"1" max:"5"`
	// The stream's name, and what all its subjects begin with. Replicas with the same prefix belong together.
	Prefix string `key:"prefix" kind:"name" need:"true"`
	// How long the partitions of a replica that died wait until other replicas take them over. Meanwhile their events are
	// refused (503 with Retry-After). A replica that starts with a longer one raises that of the partitions;
	// with a shorter one it logs the command that lowers it once all replicas have the shorter one.
	PinTTL time.Duration `key:"pin_ttl" min:"1s" max:"5m"`
}

// Sender is how reports are delivered.
type Sender struct {
	// The most reports in flight at once, over all services; with `spool.engine: jetstream`, over those of one
	// partition.
	MaxInFlight int `key:"max_in_flight" min:"1" max:"256"`
	// What to do with a report whose outcome is unknown (a timeout, a lost connection, a 500, 502 or 504
	// after it was sent): the backend has no way to recognise a repeat. `retry` sends it again and may
	// count it twice, `park` keeps it for a person to decide. `receipt` sends it again only when its receipt shows that
	// nothing of it was counted; a report of a service with `receipts` that carried none is kept as with `park`, that of
	// another service is sent again. It is the default where a service has `receipts`. What carries a receipt is
	// decided by it with every value. Each such report is counted as ambiguous.
	OnAmbiguous string `key:"on_ambiguous" oneof:"retry,park,receipt"`
	// What to do with usage older than the 24 hours the backend accepts: `deadletter` keeps it on disk,
	// unsent, for a person to decide. `restamp` sends it with the time of the attempt, so that it is
	// counted, on the wrong day; how much is in a metric.
	Expired string `key:"expired" oneof:"deadletter,restamp"`
	// How long before its 24 hours are over usage is not sent any more. The backend compares a timestamp when its
	// worker gets to it: the margin is for its queue, and for the difference between the clocks. What is behind it
	// becomes a dead letter or is restamped. Usage that could not be reported before is refused at the door: with
	// 24h less this margin, `batch.flush_interval` and 30s for sealing and sending; with `expired: restamp` only what
	// is older than 24h. Usage of its last hour is reported apart from fresher usage, so that a worker that is
	// further behind than the margin harms nothing else.
	ExpiredMargin time.Duration `key:"expired_margin" min:"1s" max:"12h"`
	// How long before usage may be sent whose timestamp is ahead: the backend takes up to 1h by its own clock. The
	// margin is for the difference between the clocks. Usage that is further ahead waits.
	FutureMargin time.Duration `key:"future_margin" min:"1s" max:"30m"`
	// The most questions a second to the backend about applications and metrics that it did not vouch for
	// lately. The backend drops a whole report for one it does not know, so what is not proven does not
	// share a report with what is. A question is an authorization without usage; it counts nothing, and asks about one
	// application and all metrics in question. Below this bound there are as many as the backend answers quickly: up to
	// 32 at a time, fewer once it takes longer than it needs otherwise.
	ProbeRate int `key:"probe_rate" min:"1" max:"100000"`
	// How long an application or metric counts as proven. Until that is over, an application deleted in
	// 3scale can still spoil reports that it is in; with many applications, a short life means many
	// questions: `probe_rate` times this is how many can be kept proven. What shares its report with 100 or more is
	// asked about again after a third of this at the latest, with 400 or more after a sixth, while fewer questions wait
	// than are asked in two seconds: of 1000 applications 3 to 9 a second with the default.
	ProofLife time.Duration `key:"proof_life" min:"10s" max:"24h"`
	// How long the backend goes on denying what it was asked for too early. Usage of an application or a
	// metric that is denied for longer than this becomes a dead letter, and a new application waits this
	// long before its usage shares a report. 3scale: 60s. With `serve --sandbox` the default is 0s.
	NegativeCache time.Duration `key:"negative_cache" min:"0s" max:"1h"`
}

// Authorize is how authorizations are answered.
type Authorize struct {
	// What to answer while the backend cannot be asked: it cannot be reached, does not answer in time, or
	// what answers is a proxy in trouble. `resilient`: what is remembered, yes or no, for
	// `authorize.max_stale` after it was learnt, with limits counted here; what is not known is denied.
	// `strict`: denied as soon as the ttl is over. `allow`: as `resilient`, but what is not known is
	// allowed, without limits, except what was denied last; and when the usage of an authrep cannot be
	// recorded the answer is yes all the same, unbilled, and counted in a metric. `none`: nothing is
	// remembered, every call waits for the backend, and without an answer it is denied.
	Mode string `key:"mode" oneof:"strict,resilient,allow,none"`
	// How long a yes is served without asking again. A revoked key, a suspended application or another
	// plan takes effect within it; a key that is in use is asked about again after three quarters of it,
	// so that no caller waits. The backend itself remembers all this for 60s. Limits are exact while this
	// daemon is the only reporter; usage from other reporters is seen within the ttl after the backend counted it,
	// and as much may be granted beyond a limit.
	TTL time.Duration `key:"ttl" min:"0s" max:"24h"`
	// How long a no is served without asking again. A denial for a limit is decided anew with every call,
	// and ends with the limit's period, also when this is longer.
	DenyTTL time.Duration `key:"deny_ttl" min:"0s" max:"24h"`
	// How long a remembered answer may serve while the backend cannot be asked.
	MaxStale time.Duration `key:"max_stale" min:"0s" max:"720h"`
	// The most answers remembered. Denials have room for a quarter as many beside them.
	MaxEntries int `key:"max_entries" min:"1" max:"100000000"`
	// The memory they may take, about.
	MaxBytes Size `key:"max_bytes" min:"1MiB" max:"1TiB"`
	// How long the backend may take to answer before it counts as away. Reports have
	// `backend.timeout`, and connections of their own.
	Timeout time.Duration `key:"timeout" min:"10ms" max:"1m"`
}

// Dedupe is how repeated events are recognised.
type Dedupe struct {
	// How long an event's `id` is remembered, across restarts: the same id for the same service within
	// this time is acknowledged and counted once. 0s: ids are ignored.
	Window time.Duration `key:"window" min:"0s" max:"24h"`
	// The most ids remembered at once, at most 16 bytes of memory each: the default is 50,000 events a
	// second with ids for the default window. When they are reached, requests with new ids are refused
	// (429 with Retry-After, which names this key) until the oldest are past the window: an id is never
	// forgotten early, and a repeated event is answered as one.
	MaxIDs int `key:"max_ids" min:"1000" max:"1000000000"`
}

// NATS is events from NATS.
type NATS struct {
	// The servers to take events from, separated by commas, such as nats://127.0.0.1:4222. A server that
	// cannot be reached is asked again for ever; events by HTTP and delivery go on meanwhile.
	URL string `key:"url" kind:"servers"`
	// Runs a NATS server inside the daemon and takes events from it: for one machine that has none. Where
	// `auth.tokens_file` is given, clients show a token of it, as their token or password, and may publish for
	// its services only; else they need none. With JetStream, whose store is `nats/` in `data_dir`, and everything is on disk
	// before it is acknowledged. With `serve --sandbox` the default is true.
	Embedded bool `key:"embedded"`
	// Where the embedded server listens: host:port.
	Listen string `key:"listen" kind:"address" need:"true"`
	// The subject of events. It ends in `*` or `>`, which stands for the service id.
	Subject string `key:"subject" kind:"subject" need:"true"`
	// The subjects of requests for an authorization, and for one that counts, with the payloads of
	// `POST /v1/authorize` and `/v1/authrep`. They end as `nats.subject` does. Empty: not answered.
	AuthorizeSubject string `key:"authorize_subject" kind:"subject"`
	// See `nats.authorize_subject`.
	AuthrepSubject string `key:"authrep_subject" kind:"subject"`
	// Prefixes of the reply subjects that requests may name, separated by commas. Clients of NATS use `_INBOX`
	// unless they are told otherwise. A request that names another reply subject is neither taken nor
	// answered, and counted (`reporterd_nats_refused_total`): the answer would be published with the daemon's
	// rights, which reach further than its sender's.
	InboxPrefixes string `key:"inbox_prefixes" kind:"inboxes" need:"true"`
	// The JetStream stream to consume. Empty: plain subscriptions, which also answer requests. It is created
	// when it does not exist (a work queue of `nats.subject`), and never changed when it does.
	Stream string `key:"stream" kind:"name"`
	// The name of the durable consumer on the stream: all daemons with the same name share the work. It is
	// created when it does not exist, and never changed when it does.
	Durable string `key:"durable" kind:"name" need:"true"`
	// The monitoring addresses of all NATS servers, such as http://10.0.0.1:8222, separated by commas. They are
	// asked whether JetStream syncs to disk before it acknowledges; where it does not, a power failure can lose
	// what it acknowledged, and a warning and a metric say so. It matters where JetStream is used.
	MonitorURLs string `key:"monitor_urls" kind:"monitors"`
	// A file with the JWT and the seed of a NATS user, as nsc writes it. It is read at every connection.
	CredentialsFile string `key:"credentials_file" kind:"file" reload:"file"`
	// A file with the seed of an NKEY.
	NKeyFile string `key:"nkey_file" kind:"file"`
	// A user of the NATS server, with the password below.
	User string `key:"user"`
	// The user's password. It stands in the file itself, so keep the file 0600 or use the next one.
	Password Secret `key:"password"`
	// A file that holds the password and nothing else; white space around it is dropped.
	PasswordFile string `key:"password_file" kind:"file"`
	// Authorities to trust for the NATS servers instead of the system's, PEM. TLS is used when one of these
	// three files is given, when the address says tls://, or when the server asks for it.
	CAFile string `key:"ca_file" kind:"file"`
	// The daemon's own certificate, PEM, where the server asks for one. Given together with
	// `nats.key_file` or not at all.
	CertFile string `key:"cert_file" kind:"file"`
	// Its private key, PEM.
	KeyFile string `key:"key_file" kind:"file"`
}

// Sandbox is the stand-in backend of serve --sandbox.
type Sandbox struct {
	// Where the sandbox listens: host:port.
	Listen string `key:"listen" kind:"address" need:"true"`
}

// Log is the daemon's own log.
type Log struct {
	// The least level written.
	Level string `key:"level" oneof:"debug,info,warn,error" reload:"value"`
	// `json` for machines, `console` for people. With `serve --sandbox` on a terminal the default is
	// `console`.
	Format string `key:"format" oneof:"json,console"`
}
