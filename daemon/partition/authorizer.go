package partition

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/internal/durable"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// newQuota returns what counts the usage that is not reported yet. Usage that is accepted goes through it to the journal.
func newQuota(o Options, journal quota.Journal, pending func() quota.Backlog) *quota.Tracker {
	return quota.New(quota.Options{
		Applications: o.Authorize.Applications(), Journal: journal, Pending: pending, Log: o.Log.Named("authorize"),
	})
}

func newAuthorizer(o Options, journal quota.Journal, k *proofKeeper, q *quota.Tracker) (*authorize.Authorizer, error) {
	client, err := threescale.NewClient(o.Authorizations)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	a := o.Authorize
	a.Services, a.Client, a.Journal, a.Quota, a.OnProof, a.OnDenial = o.Services, client, journal, q, k.confirmed, k.denied
	a.Log = o.Log.Named("authorize")
	return authorize.New(a), nil
}

// NewFallback returns an authorizer that belongs to no partition: it answers while a partition has no owner, and does not know
// what is not reported yet. Usage that it grants goes to the journal.
func NewFallback(o Options, journal quota.Journal) (*authorize.Authorizer, error) {
	k, err := newProofKeeper(o.Log.Named("proof"), o.Dir, o.Probes, o.Proof)
	if err != nil {
		return nil, err
	}
	return newAuthorizer(o, journal, k, newQuota(o, journal, nil))
}

// answersFile is the name of the file that keeps what authorizations knew across a stop in good order. It ends in the number of
// events that were accepted before, so that a file with other counters is never taken up (A4).
const answersFile = "authorizations."

// savedAnswers keeps what is known of authorizations across a stop in good order.
type savedAnswers struct {
	always     bool // usage on disk is read in any case
	log        *zap.Logger
	dir        string
	authorizer *authorize.Authorizer
	quota      *quota.Tracker
	spool      *spool.Spool
}

// begin has the usage on disk counted, where authorizations were asked for in an earlier life or always is set, and takes up
// what that life knew. It is read beside everything else, from before any of it is sent; until it is read authorizations wait.
func (s *savedAnswers) begin() {
	asked := authorized(s.dir)
	if !asked && !s.always {
		return
	}
	s.quota.Follow()
	if asked {
		s.restore()
	}
}

func (s *savedAnswers) name() string {
	return filepath.Join(s.dir, answersFile+strconv.FormatUint(s.spool.Counts().Accepted, 10))
}

// restore takes up what an earlier life saved, and removes it.
func (s *savedAnswers) restore() {
	file, err := os.Open(s.name())
	s.remove()
	if err != nil {
		return // there is none, and everything is asked for
	}
	defer func() { _ = file.Close() }() // opened for reading
	if err := s.authorizer.Restore(bufio.NewReader(file)); err != nil {
		s.log.Warn("cannot read the saved authorizations: applications are asked about again", zap.Error(err))
		return
	}
	s.log.Info("authorizations are restored", zap.Int("answers", s.authorizer.Stats().Entries))
}

func (s *savedAnswers) remove() {
	names, _ := filepath.Glob(filepath.Join(s.dir, answersFile+"*")) // fails for a bad pattern only
	for _, name := range names {
		_ = os.Remove(name) // a file that stays has a number that will not match again
	}
}

// save keeps what is known for the next start, once nothing is taken in or sent any more.
func (s *savedAnswers) save() {
	if !authorized(s.dir) || !s.quota.Loaded() {
		return
	}
	if err := durable.Write(s.name(), 0o600, s.authorizer.Save); err != nil {
		s.log.Warn("cannot save the authorizations: after the restart applications are asked about again", zap.Error(err))
	}
}
