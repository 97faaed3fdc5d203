package embedded

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ClientInfoHeader is where the server says which client a message is of, in JSON: "acc" is the client's account, see
// ClientName. It replaces a header of the client's own. Messages in a stream do not have it.
const ClientInfoHeader = server.ClientInfoHdr

// accountPrefix begins the names of clients' accounts.
const accountPrefix = "client:"

// ClientName is the name of the clients of an account. ok is false for another account.
func ClientName(account string) (name string, ok bool) {
	return strings.CutPrefix(account, accountPrefix)
}

// Inboxes is the prefix of the reply subjects of clients' requests, as the daemon sees them: the server makes them up. A client's
// own reply subject stays in its account.
const Inboxes = "_R_"

// Client is what a client may do that has shown a token.
type Client struct {
	Name    string    // of the token's holder: clients of one name share an account
	Publish []string  // patterns of the subjects that it may publish to
	Expires time.Time // the connection ends then; zero: never
}

// daemonUser is the name of the daemon's own connections.
const daemonUser = "reporterd"

// clients authenticates connections. Each token has an account of its own, into which only the daemon's services are imported: a
// client sees neither other clients' messages and inboxes nor JetStream's API nor the daemon's subjects.
type clients struct {
	options  Options
	password string // of the daemon's own connections, random

	mu       sync.Mutex // guards what follows
	server   *server.Server
	admitted map[string][]string // Publish of the client that was admitted last, by name
}

func newClients(o Options) *clients {
	return &clients{options: o, password: rand.Text(), admitted: make(map[string][]string)}
}

// open begins to admit clients to a server. It comes before the server takes connections.
func (c *clients) open(s *server.Server) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = s
	for _, subject := range c.options.Services {
		if err := s.GlobalAccount().AddServiceExport(subject, nil); err != nil {
			return fmt.Errorf("embedded NATS server: %s: %w", subject, err)
		}
	}
	return nil
}

// Check implements server.Authentication. The server calls it once for each connection.
func (c *clients) Check(a server.ClientAuthentication) bool {
	shown := a.GetOpts()
	if shown.Username == daemonUser && subtle.ConstantTimeCompare([]byte(shown.Password), []byte(c.password)) == 1 {
		a.RegisterUser(&server.User{Username: daemonUser, Account: c.server.GlobalAccount()})
		return true
	}
	token := shown.Token
	if token == "" {
		token = shown.Password
	}
	client, err := c.options.Authenticate(token)
	if err != nil {
		return false // the server logs the refusal
	}
	account, err := c.admit(client)
	if err != nil {
		return false
	}
	a.RegisterUser(&server.User{
		Username: client.Name, Account: account, ConnectionDeadline: client.Expires,
		Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: client.Publish},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		},
	})
	return true
}

// admit returns the account of the clients of one name.
func (c *clients) admit(client Client) (*server.Account, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admitted[client.Name] = client.Publish
	account, isNew := c.server.LookupOrRegisterAccount(accountPrefix + client.Name)
	if !isNew {
		return account, nil
	}
	for _, subject := range c.options.Services {
		if err := account.AddServiceImport(c.server.GlobalAccount(), subject, subject); err != nil {
			return nil, fmt.Errorf("embedded NATS server: %s: %w", subject, err)
		}
	}
	return account, nil
}

// Recheck ends the connections of clients whose tokens no longer count, or whose rights have changed: current returns what a name
// may do now. It is for a reload of tokens. A client that still has a token connects again.
func (s *Server) Recheck(current func(name string) (Client, error)) error {
	if s.clients == nil {
		return nil
	}
	for offset := 0; ; {
		page, err := s.server.Connz(&server.ConnzOptions{Username: true, Offset: offset, Limit: pageOfConnections})
		if err != nil {
			return fmt.Errorf("embedded NATS server: connections: %w", err)
		}
		for _, c := range page.Conns {
			if c.AuthorizedUser != daemonUser && s.clients.outdated(c.AuthorizedUser, current) {
				_ = s.server.DisconnectClientByID(c.Cid) // an error says that it has gone already
			}
		}
		if offset += len(page.Conns); len(page.Conns) < pageOfConnections {
			return nil
		}
	}
}

// outdated reports whether a connected client may not do any more what it was admitted for.
func (c *clients) outdated(name string, current func(name string) (Client, error)) bool {
	now, err := current(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	return err != nil || !slices.Equal(c.admitted[name], now.Publish)
}

// pageOfConnections is how many connections Recheck lists at once.
const pageOfConnections = 1024
