// Package nats takes usage from NATS: from plain publishes and requests, as a micro service in a queue group,
// or from a JetStream stream of the user's own.
//
// A message is the payload of POST /v1/events, read by the same code. What waits anyway is appended to the
// journal together, because one group commit costs the same for one event as for thousands. Nothing here stops
// anything else: a server that is away is asked again for ever, and HTTP goes on.
package nats

import (
	"crypto/tls"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// Options are what a Bus is made of.
type Options struct {
	URL      string // servers, separated by commas
	Subject  string // as Subject takes it
	Stream   string // a JetStream stream to consume; empty: plain subscriptions
	Durable  string // the consumer's name on it
	Login    Login
	TLS      *tls.Config // nil: as the servers want it
	Asked    []Question  // what requests may ask besides
	Inboxes  []string    // prefixes of the subjects that answers may go to; none: DefaultInboxes
	Version  string      // of this program, for nats micro ls
	Handler  *ingest.Handler
	Letters  Letters
	Log      *zap.Logger   // nil: none
	Patience time.Duration // how long the stream may take to answer; 0: 5 s
}

// Login is how the daemon says who it is; every field may be empty.
type Login struct {
	CredentialsFile string // JWT and seed, as nsc writes it
	NKeyFile        string // an NKEY seed
	User, Password  string
}

// Letters keeps a message that can never be taken, and returns once it is durable. Its error means that
// nothing was kept.
type Letters func(l Letter) error

// Letter is such a message.
type Letter struct {
	Origin    string // tells messages apart: what is delivered again has the same
	ServiceID string // named by the subject
	Subject   string
	ID        string // Nats-Msg-Id
	Type      string // Content-Type
	Payload   []byte
	Rejected  bool   // a plain publish: it was never acknowledged to its sender
	Code      string // why: invalid_message, malformed_message, message_too_large, message_type
	Detail    string
}

// Waits between attempts to reach a server.
const (
	reconnectWait   = time.Second
	reconnectJitter = 500 * time.Millisecond
	dialTimeout     = 5 * time.Second
	pingInterval    = 20 * time.Second
)

// connection are the options of nats.go: reconnect for ever, also when the first attempt fails and when the
// server refuses the login, which somebody may put right.
func (o *Options) connection() ([]nats.Option, error) {
	all := []nats.Option{
		nats.Name("reporterd"), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectJitter, reconnectWait), nats.Timeout(dialTimeout),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
	}
	if o.TLS != nil {
		all = append(all, nats.Secure(o.TLS))
	}
	l := o.Login
	switch {
	case l.CredentialsFile != "":
		all = append(all, nats.UserCredentials(l.CredentialsFile))
	case l.NKeyFile != "":
		seed, err := nats.NkeyOptionFromSeed(l.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("nats: NKEY seed file: %w", err)
		}
		all = append(all, seed)
	case l.User != "":
		all = append(all, nats.UserInfo(l.User, l.Password))
	}
	return all, nil
}

var semantic = regexp.MustCompile(`^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// release is the version as a micro service must have it.
func (o *Options) release() string {
	if v := o.Version; semantic.MatchString(v) {
		return v
	}
	if len(o.Version) > 1 && o.Version[0] == 'v' && semantic.MatchString(o.Version[1:]) {
		return o.Version[1:]
	}
	return "0.0.0"
}
