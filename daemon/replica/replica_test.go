package replica

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const nowhere = "http://127.0.0.1:9"

func options(t *testing.T, services []event.Service) partition.Options {
	t.Helper()
	client := threescale.ClientOptions{URL: nowhere, Timeout: time.Second}
	return partition.Options{
		Dir: t.TempDir(), Services: services, Spool: spool.Options{Dir: t.TempDir(), Sync: spool.Never}, Log: zap.NewNop(),
		Reports: client, Authorizations: client, Probes: client, Authorize: authorize.Options{},
	}
}

// TestApplyDuringATakeover: a partition that was being opened when services were put in force has the new services and
// credentials as well as those that were opened before.
func TestApplyDuringATakeover(t *testing.T) {
	before := []event.Service{{ID: "1", Credentials: threescale.Credentials{ServiceToken: "old"}}}
	after := []event.Service{
		{ID: "1", Credentials: threescale.Credentials{ServiceToken: "new"}}, {ID: "2", Credentials: threescale.Credentials{ServiceToken: "new"}},
	}
	o := options(t, before)
	r, err := Open(Options{Partition: o, Log: zap.NewNop()})
	require.NoError(t, err)
	p, err := partition.Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, p.Close(false)) }()

	r.Apply(after) // while the partition is not among those it reaches
	r.addPartition(0, p, before)
	assert.Empty(t, p.Apply(after), "it has the new credentials already")
	assert.Equal(t, []string{"1", "2"}, serviceIDs(r.Snapshot(0).Services))
}

func TestStoppingIsNotReady(t *testing.T) {
	r, err := Open(Options{Partition: options(t, nil), Log: zap.NewNop()})
	require.NoError(t, err)
	assert.ErrorIs(t, r.Ready(), errNotJoined)
	require.NoError(t, r.Stop(t.Context()))
	assert.ErrorIs(t, r.Ready(), partition.ErrStopping)
	require.NoError(t, r.Close(true))
}

func serviceIDs(services []console.Service) (ids []string) {
	for _, s := range services {
		ids = append(ids, s.ID)
	}
	return ids
}
