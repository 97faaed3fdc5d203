// Package nats takes usage from NATS: from plain publishes and requests, as a micro service in a queue group,
// or from a JetStream stream of the user's own.
//
// A message is the payload of POST /v1/events, decoded by the same code. Messages that are waiting are appended to the
// journal together, because one group commit costs the same for one event as for thousands. A NATS server that is away
// stops nothing else: the connection is retried without end.
package nats

import (
	"crypto/tls"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// Options of Open.
type Options struct {
	URL           string // servers, separated by commas
	Subject       string // as ParseSubject takes it
	Stream        string // a JetStream stream to consume; empty: plain subscriptions
	Durable       string // the consumer's name on it
	Login         Login
	TLS           *tls.Config // nil: as the servers ask for it
	Questions     []Question  // authorizations that requests may ask for
	InboxPrefixes []string    // answers go to subjects below these only; none: DefaultInboxPrefixes
	Version       string      // of this program, as nats micro ls shows it
	Handler       *ingest.Handler
	Sender        Sender // nil: the server has authenticated all senders, and their rates are not bounded here
	DeadLetters   DeadLetters
	Log           *zap.Logger   // nil: none
	ReplyTimeout  time.Duration // how long the server may take to answer about the stream; 0: 5 s
}

// Login is the daemon's credentials at the NATS server; every field may be empty.
type Login struct {
	CredentialsFile string // JWT and seed, as nsc writes it
	NKeyFile        string // an NKEY seed
	User, Password  string
}

// DeadLetters writes a message that can never be taken, and returns once it is durable. An error means that it was not
// written.
type DeadLetters func(l DeadLetter) error

// DeadLetter is a message, or a part of one, that can never be taken.
type DeadLetter struct {
	Origin    string // identifies the message: a redelivery has the same one
	ServiceID string // named by the subject
	Subject   string
	ID        string // Nats-Msg-Id
	Type      string // Content-Type
	Payload   []byte
	Rejected  bool   // a plain publish: it was never acknowledged to its sender
	Code      string // why: invalid_message, malformed_message, message_too_large, message_type
	Detail    string
}

// Sender returns the grant of the client that has sent a message, by what the server has written into its headers. An error means
// that the client may not send. A nil grant has no bounds.
type Sender func(h nats.Header) (*access.Grant, error)

// How a server is reached.
const (
	reconnectWait   = time.Second
	reconnectJitter = 500 * time.Millisecond
	dialTimeout     = 5 * time.Second
	pingInterval    = 20 * time.Second
)

// connectOptions are the options of nats.go: reconnect without end, also when the first attempt fails and when the server
// refuses the login, which an operator may correct.
func (o *Options) connectOptions() ([]nats.Option, error) {
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

// semanticVersion is Version in the form that a micro service must have; 0.0.0 where it has another.
func (o *Options) semanticVersion() string {
	if v := o.Version; semantic.MatchString(v) {
		return v
	}
	if len(o.Version) > 1 && o.Version[0] == 'v' && semantic.MatchString(o.Version[1:]) {
		return o.Version[1:]
	}
	return "0.0.0"
}
