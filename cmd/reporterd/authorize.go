package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// maxQuestions is how many authorizations may be asked of the backend at once.
const maxQuestions = 32

// newAuthorizer has a client of its own: neither reports nor authorizations wait for the other's
// connections, and their timeouts differ.
func newAuthorizer(log *zap.Logger, c *config.Config, j authorize.Journal, pending func() authorize.Backlog, backend string,
	trusted *threescale.Trust, v *vouching,
) (*authorize.Authorizer, error) {
	mode, err := authorize.ParseMode(c.Authorize.Mode)
	if err != nil {
		return nil, err
	}
	client, err := threescale.NewClient(threescale.ClientOptions{
		URL: backend, Timeout: c.Authorize.Timeout, Trust: trusted, MaxConns: maxQuestions, UserAgent: "reporterd/" + version,
	})
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	return authorize.New(authorize.Options{
		Mode: mode, TTL: c.Authorize.TTL, DenyTTL: c.Authorize.DenyTTL, MaxStale: c.Authorize.MaxStale,
		MaxEntries: c.Authorize.MaxEntries, MaxBytes: int64(c.Authorize.MaxBytes), Timeout: c.Authorize.Timeout,
		OnProof: v.seen, OnDenial: v.denied,
		Services: askedServices(c.Services), Passthrough: c.Backend.Passthrough, Client: client, Journal: j, Log: log,
		Pending: pending,
	}), nil
}

// authorizeMark is the file that tells that authorizations were asked for: then usage on disk is read
// before it is sent.
const authorizeMark = "AUTHORIZE"

const authorizeNote = "Authorizations were asked of reporterd: at its start it reads the usage that is still to be delivered.\n"

func markAuthorizing(dir string) error {
	return os.WriteFile(filepath.Join(dir, authorizeMark), []byte(authorizeNote), 0o600)
}

func authorizing(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, authorizeMark))
	return err == nil
}

// countPending begins to count the usage on disk before any of it is sent, where authorizations were asked for in an
// earlier life. It is read beside everything else; until that is done authorizations wait.
func (p *pipeline) countPending(log *zap.Logger, dir string) {
	if !authorizing(dir) {
		return
	}
	p.authorizer.Follow()
	p.prime(log, dir)
}

// authorizeFile is what is remembered of authorizations across a stop in good order: the file's name ends
// in the number of events that were accepted before, so that one with other counters is never taken up.
const authorizeFile = "authorizations."

func (p *pipeline) authorizeFile(dir string) string {
	return filepath.Join(dir, authorizeFile+strconv.FormatUint(p.spool.Counts().Accepted, 10))
}

// prime takes up what an earlier life remembered, and removes it.
func (p *pipeline) prime(log *zap.Logger, dir string) {
	file, err := os.Open(p.authorizeFile(dir))
	forget(dir)
	if err != nil {
		return // there is none, and everything is asked for
	}
	defer func() { _ = file.Close() }() // opened for reading
	if err := p.authorizer.Restore(bufio.NewReader(file)); err != nil {
		log.Warn("what was remembered of authorizations is not known any more", zap.Error(err))
		return
	}
	log.Info("authorizations are remembered", zap.Int("answers", p.authorizer.Stats().Entries))
}

// forget removes what was remembered.
func forget(dir string) {
	names, _ := filepath.Glob(filepath.Join(dir, authorizeFile+"*")) // fails for a bad pattern only
	for _, name := range names {
		_ = os.Remove(name) // what stays has another number, sooner or later
	}
}

// remember saves what is known for the next start, once nothing is taken in or sent any more.
func (p *pipeline) remember(log *zap.Logger, dir string) {
	if !authorizing(dir) || !p.authorizer.Loaded() {
		return
	}
	name := p.authorizeFile(dir)
	err := p.writeAuthorizations(name + ".tmp")
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		log.Warn("what is known of authorizations is not remembered", zap.Error(err))
	}
}

func (p *pipeline) writeAuthorizations(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(file)
	return errors.Join(p.authorizer.Save(w), w.Flush(), file.Close())
}

func laneOf(b *spool.Batch) authorize.Lane {
	return authorize.Lane{ServiceID: b.Lane.ServiceID, Credentials: b.Lane.Credentials, FlatUsage: b.FlatUsage}
}

// reportSent tells the authorizer that a report is on its way.
func (p *pipeline) reportSent(b *spool.Batch, sent []int) {
	p.authorizer.Sending(b.ID.String(), laneOf(b), func(yield func(int, *threescale.Transaction) bool) {
		for _, i := range sent {
			if !yield(i, &b.Transactions[i].Transaction) {
				return
			}
		}
	})
}

// reportSettled tells the authorizer where the transactions of a report went.
func (p *pipeline) reportSettled(b *spool.Batch, r spool.Resolution) {
	outcomes := make([]authorize.Outcome, len(b.Transactions))
	for i := range outcomes {
		outcomes[i] = authorize.Returned
	}
	for _, i := range r.Delivered {
		outcomes[i] = authorize.Delivered
	}
	for i := range r.Dead {
		outcomes[r.Dead[i].Index] = authorize.Refused
	}
	p.authorizer.Settled(b.ID.String(), laneOf(b), func(yield func(*threescale.Transaction, authorize.Outcome) bool) {
		for i := range outcomes {
			if !yield(&b.Transactions[i].Transaction, outcomes[i]) {
				return
			}
		}
	})
}
