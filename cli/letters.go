package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/spool"
)

// letters are the dead letters of a daemon that runs, through its admin API, or of a directory that nobody
// uses. User keys are redacted, unless they were asked for.
type letters interface {
	page(ctx context.Context, q console.DeadLetterQuery) (page []spool.DeadLetter, next string, err error)
	one(ctx context.Context, id string) (spool.DeadLetter, error)
	order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error)
	close() error
}

// openLetters finds out who has the dead letters. Those of a directory in use can be read there as well, which
// is the only way to user keys.
func openLetters(ctx context.Context, cmd *cobra.Command, reveal bool) (letters, error) {
	if address, _ := cmd.Flags().GetString("admin-url"); address != "" {
		if reveal {
			return nil, misuse(errors.New("--reveal-user-keys: the admin API never tells user keys: read them in the directory, without --admin-url"))
		}
		return newRemote(address, os.Getenv(adminToken))
	}
	c, err := directory(cmd)
	if err != nil {
		return nil, err
	}
	inUse, _, err := spool.InUse(c.DataDir)
	if err != nil {
		return nil, failed(err)
	}
	if inUse && !reveal {
		return announced(c.DataDir, c.Admin.Listen, os.Getenv(adminToken))
	}
	stored, err := spool.OpenLetters(ctx, spool.InspectOptions{Dir: c.DataDir})
	if err != nil {
		return nil, failed(err)
	}
	return &local{config: c, stored: stored, reveal: reveal}, nil
}

// local is a directory. It is opened as the daemon would, lock and all, when something is to change.
type local struct {
	config *config.Config
	stored *spool.Letters
	reveal bool
	spool  *spool.Spool // nil until then
}

func (l *local) shown(d spool.DeadLetter) spool.DeadLetter {
	if l.reveal {
		return d
	}
	return d.Redacted()
}

func (l *local) page(_ context.Context, q console.DeadLetterQuery) ([]spool.DeadLetter, string, error) {
	page, next, err := l.stored.DeadLetters(partition.QueryOf(q))
	for i := range page {
		page[i] = l.shown(page[i])
	}
	return page, next, err
}

func (l *local) one(_ context.Context, id string) (spool.DeadLetter, error) {
	d, err := l.stored.DeadLetter(id)
	return l.shown(d), err
}

func (l *local) order(_ context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	if l.spool == nil {
		if err := checkOwner(l.config.DataDir); err != nil {
			return console.DeadLetterOutcome{}, err
		}
		s, err := openSpool(l.config)
		if err != nil {
			return console.DeadLetterOutcome{}, err
		}
		l.spool = s
	}
	out, _, err := partition.ApplyOrder(l.spool, do, o)
	return out, err
}

func (l *local) close() error {
	if l.spool == nil {
		return nil
	}
	return l.spool.Close()
}

// namedDaemon is the daemon of --admin-url, or the one that uses the directory.
func namedDaemon(cmd *cobra.Command) (*remote, error) {
	if address, _ := cmd.Flags().GetString("admin-url"); address != "" {
		return newRemote(address, os.Getenv(adminToken))
	}
	c, err := directory(cmd)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(c.DataDir); err != nil { // the daemon of another directory would answer
		return nil, misuse(fmt.Errorf("data_dir: %w; name another with --data-dir", err))
	}
	return announced(c.DataDir, c.Admin.Listen, os.Getenv(adminToken))
}

// remoteTimeout bounds a call of the admin API: a page of a thousand letters is requeued with one fsync.
const remoteTimeout = time.Minute

// maxReply is how much of an answer is read.
const maxReply = 64 << 20

// remote is the admin API of a daemon.
type remote struct {
	base   string
	token  string // empty: none
	client *http.Client
}

// adminToken is the variable that holds an operator's token, for commands that ask a daemon.
const adminToken = "REPORTERD_ADMIN_TOKEN"

// newRemote takes a URL, or an address as listeners have it, and a token, if there is one.
func newRemote(address, token string) (*remote, error) {
	r := &remote{token: token, client: &http.Client{Timeout: remoteTimeout}}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		var dialer net.Dialer
		r.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}}
		r.base = "http://admin"
		return r, nil
	}
	if !strings.Contains(address, "://") {
		address = "http://" + daemon.Reachable(address)
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, misuse(fmt.Errorf("--admin-url: %q: expected http://host:port or unix:/path", address))
	}
	r.base = strings.TrimSuffix(u.String(), "/")
	return r, nil
}

// pin trusts the certificate in a file and no other, whatever names it has: it is the daemon's on this machine.
func (r *remote) pin(file string) {
	r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // VerifyPeerCertificate is stricter
		VerifyPeerCertificate: func(chain [][]byte, _ [][]*x509.Certificate) error {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for len(text) > 0 && len(chain) > 0 {
				var block *pem.Block
				if block, text = pem.Decode(text); block == nil {
					break
				}
				if bytes.Equal(block.Bytes, chain[0]) {
					return nil
				}
			}
			return fmt.Errorf("the certificate is not the one in %s", file)
		},
	}}
}

func (r *remote) page(ctx context.Context, q console.DeadLetterQuery) ([]spool.DeadLetter, string, error) {
	v := url.Values{}
	for name, text := range map[string]string{
		"service_id": q.ServiceID, "reason": q.Reason, "cursor": q.Cursor, "since": stamp(q.Since), "until": stamp(q.Until),
	} {
		if text != "" {
			v.Set(name, text)
		}
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	var answer struct {
		Letters []spool.DeadLetter `json:"deadletters"`
		Next    string             `json:"next"`
	}
	err := r.call(ctx, http.MethodGet, "/api/v1/deadletters?"+v.Encode(), nil, &answer)
	return answer.Letters, answer.Next, err
}

func (r *remote) one(ctx context.Context, id string) (d spool.DeadLetter, err error) {
	err = r.call(ctx, http.MethodGet, "/api/v1/deadletters/"+url.PathEscape(id), nil, &d)
	return d, err
}

func (r *remote) order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (out console.DeadLetterOutcome, err error) {
	body := map[string]any{"dry_run": o.DryRun, "restamp": o.Restamp}
	if len(o.IDs) > 0 {
		body["ids"] = o.IDs
	} else {
		q := o.Query
		for name, value := range map[string]string{
			"service_id": q.ServiceID, "reason": q.Reason, "since": stamp(q.Since), "until": stamp(q.Until), "cursor": q.Cursor,
		} {
			body[name] = value
		}
		body["limit"], body["all"] = q.Limit, true
	}
	err = r.call(ctx, http.MethodPost, "/api/v1/deadletters/"+string(do), body, &out)
	return out, err
}

func (r *remote) close() error { return nil }

// call asks, and reads the answer into into. A problem becomes an error in the daemon's words.
func (r *remote) call(ctx context.Context, method, path string, body, into any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, r.base+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	if r.token != "" {
		request.Header.Set("Authorization", "Bearer "+r.token)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the daemon: %w; name its admin listener with --admin-url", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if text, err = io.ReadAll(io.LimitReader(answer.Body, maxReply)); err != nil {
		return fmt.Errorf("ask the daemon: %w", err)
	}
	if answer.StatusCode == http.StatusOK {
		return json.Unmarshal(text, into)
	}
	var problem struct{ Detail string }
	if json.Unmarshal(text, &problem) != nil || problem.Detail == "" {
		return fmt.Errorf("the daemon answered %s: is %s its admin listener?", answer.Status, r.base)
	}
	return &refusedOrder{answer.StatusCode, problem.Detail}
}

// refusedOrder is what the daemon answered instead of what was asked of it.
type refusedOrder struct {
	status int // of HTTP
	detail string
}

func (r *refusedOrder) Error() string { return r.detail }

// stamp is a time in a query; nothing for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// openSpool opens the data directory of a daemon that does not run. It returns once it was read.
func openSpool(c *config.Config) (*spool.Spool, error) {
	s, _, err := spool.Open(daemon.SpoolOptions(c))
	return s, err
}
