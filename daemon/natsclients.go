package daemon

import (
	"encoding/json"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
)

// natsClients authenticates clients of the embedded NATS server by the tokens of producers.
type natsClients struct {
	tokens   *access.Tokens
	subjects []string // served by the daemon; each ends in * or >, which stands for the service id
}

// newNATSClients returns nil if producers need no token.
func newNATSClients(c config.NATS, tokens *access.Tokens) *natsClients {
	if tokens == nil {
		return nil
	}
	n := &natsClients{tokens: tokens}
	for _, subject := range []string{c.Subject, c.AuthorizeSubject, c.AuthrepSubject} {
		if subject != "" {
			n.subjects = append(n.subjects, subject)
		}
	}
	return n
}

// authenticate is embedded.Options.Authenticate.
func (n *natsClients) authenticate(token string) (embedded.Client, error) {
	g, err := n.tokens.Find(token)
	return n.client(g), err
}

// current returns the present permissions of a client name.
func (n *natsClients) current(name string) (embedded.Client, error) {
	g, err := n.tokens.Named(name)
	return n.client(g), err
}

// client returns the permissions of a grant: the subjects of its services.
func (n *natsClients) client(g *access.Grant) embedded.Client {
	if g == nil {
		return embedded.Client{}
	}
	c := embedded.Client{Name: g.Name, Expires: g.Expires}
	for _, subject := range n.subjects {
		for _, id := range g.Services {
			switch {
			case id == access.AnyService:
				c.Publish = append(c.Publish, subject)
			case id != "" && !strings.ContainsAny(id, "*> \t"):
				c.Publish = append(c.Publish, strings.TrimRight(subject, "*>")+id)
			}
		}
	}
	return c
}

// sender is the ingestnats.Sender of messages that the embedded server received from clients with tokens.
func (n *natsClients) sender(h nats.Header) (*access.Grant, error) {
	var info struct {
		Account string `json:"acc"`
	}
	if text := h.Get(embedded.ClientInfoHeader); text == "" || json.Unmarshal([]byte(text), &info) != nil {
		return nil, access.ErrNoToken // the daemon's own connection is the only one without a name
	}
	name, ok := embedded.ClientName(info.Account)
	if !ok {
		return nil, access.ErrUnknownToken
	}
	return n.tokens.Named(name)
}

var _ ingestnats.Sender = (*natsClients)(nil).sender
