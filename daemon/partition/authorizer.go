package partition

import (
	"fmt"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// newQuota returns the tracker of usage that is not reported yet. Accepted usage passes through it to the journal.
// named is called with the application of a user key; nil: it is not.
func newQuota(o Options, journal quota.Journal, pending func() quota.Backlog, named func(serviceID, userKey, id string)) *quota.Tracker {
	return quota.New(quota.Options{
		Applications: o.Authorize.Applications(), Journal: journal, Pending: pending, Named: named, Log: o.Log.Named("authorize"),
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

// NewFallback returns an authorizer without a partition: it answers while a partition has no owner, and does not count usage that
// is not reported yet. Usage that it grants goes to the journal.
func NewFallback(journal quota.Journal, o Options) (*authorize.Authorizer, error) {
	q := newQuota(o, journal, nil, nil)
	k, err := newProofKeeper(o.Log.Named("proof"), o.Dir, o.Probes, o.Proof, func() *quota.Tracker { return q })
	if err != nil {
		return nil, err
	}
	return newAuthorizer(o, journal, k, q)
}
