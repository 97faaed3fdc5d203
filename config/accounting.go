package config

import "time"

// Ledger accounts for usage.
type Ledger struct {
	// Keeps the ledger, in `ledger.db` of the data directory: docs/ledger.md. With `spool.engine: jetstream` each
	// partition has one, which moves with it: docs/cluster.md.
	Enabled bool `key:"enabled"`
	// How long cells are kept.
	Keep time.Duration `key:"keep" min:"24h" max:"87600h"`
	// How large the database may become. Days are given up for it, the oldest first. With `spool.engine: jetstream` it
	// is divided evenly among the partitions, and an eighth of `spool.max_bytes` at most, since the stream has a copy.
	MaxBytes Size `key:"max_bytes" min:"16MiB" max:"1TiB"`
}

// Portal is 3scale's admin portal.
type Portal struct {
	// The admin portal: `acme`, `acme-admin.3scale.net` or a URL. It is what `services`, `usage` and `doctor` ask, and
	// what the ledger is held against. Empty: 3scale is not asked what it counted.
	URL string `key:"url"`
	// An access token of the portal with the scopes Analytics API and Account Management API; read only is enough. It
	// stands in the file itself, so keep the file 0600 or use the next.
	AccessToken Secret `key:"access_token"`
	// A file that holds the access token and nothing else; white space around it is dropped.
	AccessTokenFile string `key:"access_token_file" kind:"file"`
	// Refuses usage of metrics that the portal's catalogue does not have (422), for services without `metrics` of their
	// own: at once, where it would become a dead letter after a while. A metric that was just made is refused until the
	// catalogue is read again: after an hour, or a reload. It needs a token whose owner sees everything.
	Validate bool `key:"validate"`
	// Authorities to trust for `portal.url` instead of the system's, PEM.
	CAFile string `key:"ca_file" kind:"file"`
	// How long one call may take.
	Timeout time.Duration `key:"timeout" min:"1s" max:"5m"`
	// How many calls a second may be made, one behind the other.
	PerSecond int `key:"per_second" min:"1" max:"100"`
}

// Reconcile compares what was delivered with what 3scale counted.
type Reconcile struct {
	// How often; 0 never, and `reporterd reconcile` still does.
	Every time.Duration `key:"every" min:"0s" max:"24h"`
	// How far back.
	Since time.Duration `key:"since" min:"1h" max:"2160h"`
	// This daemon is the only reporter of the services. Then a count that is larger than what was delivered is a
	// difference, too; otherwise it proves nothing.
	Exclusive bool `key:"exclusive"`
	// For services with other reporters: a metric, not a method, that only this daemon reports, such as `reporterd_tx`. Each event adds one to it,
	// in the same transaction as its usage, so that the counts of this metric tell what became of the rest. It has
	// to be made in the portal, without limits and prices, for each service; those that do not have it go without.
	// Two daemons need two. Events with credentials of their own do not add to it.
	Witness string `key:"witness"`
	// How long after the end of an hour its counts are final. The backend takes usage that is up to 24 hours old, so
	// less is only right where nothing old is ever sent.
	Seal time.Duration `key:"seal" min:"0s" max:"720h"`
	// How long after its delivery missing usage is suspect before it is final.
	Quiet time.Duration `key:"quiet" min:"0s" max:"24h"`
}
