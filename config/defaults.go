package config

import "time"

// Default returns the configuration of an empty file. It is not checked: that is Load's work.
func Default() *Config {
	return &Config{
		DataDir: "/var/lib/reporterd",
		Listen:  "127.0.0.1:7070",
		Admin:   Admin{Listen: "127.0.0.1:7071", Open: true},
		Backend: Backend{URL: "https://su1.3scale.net", Timeout: 10 * time.Second, Passthrough: PassthroughVerify, PassthroughLanes: 10_000, PassthroughShare: 25},
		Batch: Batch{
			FlushInterval: 5 * time.Second, MaxFlushInterval: 20 * time.Second, MaxTransactions: 1000, MaxParams: 4096, MaxBytes: 4 * MiB, Aggregate: true,
		},
		Spool:       Spool{Engine: "file", MaxBytes: 10 * GiB, MinFreeBytes: GiB, Sync: "always"},
		DeadLetters: DeadLetters{RejectedMaxBytes: 64 * MiB, RejectedMaxLetters: 10_000},
		Ledger:      Ledger{Enabled: true, Keep: 2400 * time.Hour, MaxBytes: 4 << 30},
		Portal:      Portal{Timeout: 30 * time.Second, PerSecond: 2},
		Reconcile:   Reconcile{Every: 15 * time.Minute, Since: 72 * time.Hour, Seal: 24*time.Hour + 15*time.Minute, Quiet: 30 * time.Minute},
		Limits:      Limits{MaxConnections: 8192, MaxAdminConnections: 256, MaxNATSConnections: 1024},
		Cluster:     Cluster{Partitions: 8, Replicas: 3, Prefix: "reporterd", PinTTL: 10 * time.Second},
		Sender:      Sender{MaxInFlight: 8, OnAmbiguous: "retry", Expired: "deadletter", ExpiredMargin: time.Minute, FutureMargin: time.Minute, ProbeRate: 5000, ProofLife: 30 * time.Minute, NegativeCache: time.Minute},
		Authorize: Authorize{
			Mode: "resilient", TTL: 30 * time.Second, DenyTTL: 10 * time.Second, MaxStale: time.Hour, MaxEntries: 100000,
			MaxBytes: 256 * MiB, Timeout: 2 * time.Second,
		},
		Dedupe:      Dedupe{Window: 10 * time.Minute, MaxIDs: 32_000_000},
		NATS:        NATS{Listen: "127.0.0.1:4222", Subject: "usage.>", AuthorizeSubject: "authorize.>", AuthrepSubject: "authrep.>", InboxPrefixes: "_INBOX", Durable: "reporterd"},
		Reader:      Reader{MaxConnections: 256},
		Gate:        Gate{PortalEvery: 5 * time.Minute, Timeout: 150 * time.Millisecond, MaxConnections: 1024},
		SocketMode:  "0660",
		Sandbox:     Sandbox{Listen: "127.0.0.1:7072"},
		Log:         Log{Level: "info", Format: "json"},
		StopTimeout: 20 * time.Second,
	}
}

// sandboxed changes the defaults to those of serve --sandbox: a directory that needs no privileges, a
// backend on this machine, the services it holds, and a flush that does not keep a newcomer waiting.
// Small disks are common where demos run, so the watermark is lower.
func sandboxed(c *Config, person bool) {
	c.DataDir = "./reporterd-data"
	c.Backend.URL = "http://" + c.Sandbox.Listen
	c.Portal.URL, c.Portal.AccessToken, c.Portal.PerSecond = "http://"+c.Sandbox.Listen, "atoken", 50
	c.Batch.FlushInterval = time.Second
	c.Sender.NegativeCache = 0
	c.NATS.Embedded = true
	c.Spool.MaxBytes = GiB
	c.Spool.MinFreeBytes = 64 * MiB
	if person {
		c.Log.Format = "console"
	}
}

// SandboxServices are the services of the sandbox, with its tokens (backend fixtures of the protocol's
// recordings). The tokens are public: they open nothing but the sandbox.
func SandboxServices() []Service {
	var s []Service
	for _, id := range []string{"1001", "1002", "1003", "1004", "1005"} {
		s = append(s, Service{ID: id, Token: Secret("stoken" + id)})
	}
	return s
}
