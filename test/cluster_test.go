package test

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	clusterKillsVariable = "REPORTERD_CLUSTER_KILLS"

	replicas          = 3
	clusterPartitions = 6
	clusterProducers  = 6
	clusterPublishers = 3
	pinTTL            = 3 * time.Second

	// joinBound is how long a replica may take to be ready while a NATS server is away: the others elect leaders of
	// the streams first.
	joinBound = time.Minute

	killed = "killed"
)

// TestCluster kills replicas again and again, stops NATS servers and cuts them off, under load by HTTP and
// NATS from producers that know what was acknowledged, in front of a backend that sometimes fails after it
// has counted.
func TestCluster(t *testing.T) {
	kills := number(t, clusterKillsVariable, 0)
	if kills == 0 {
		t.Skip(clusterKillsVariable + "=100 kills replicas of a cluster so often")
	}
	seed := uint64(number(t, seedVariable, int(time.Now().UnixNano()%1_000_000)))
	t.Logf("%d kills, seed %d (%s)", kills, seed, seedVariable)
	newFleet(t, seed).run(kills)
}

// fleet is a NATS cluster, a backend and replicas.
type fleet struct {
	t       *testing.T
	rand    *rand.Rand
	nats    *natsCluster
	backend *backend
	witness *witness
	load    *workload
	configs [replicas]string
	lives   int
	all     [replicas]*member // nil: it is not there
	deaths  map[string]int
}

// member is one life of a replica.
type member struct {
	*daemon
	leave func() // ends its way to the backend
}

func newFleet(t *testing.T, seed uint64) *fleet {
	f := &fleet{t: t, rand: rand.New(rand.NewPCG(seed, 0)), deaths: map[string]int{}}
	f.nats = newNATSCluster(t)
	f.backend = sandbox(t)
	f.witness = newWitness(f.backend.url, seed)
	for i := range f.configs {
		f.configs[i] = newSettings(t, f.backend.url).
			set("spool.engine", "jetstream").
			set("nats.url", f.nats.urls(i)).
			set("cluster.partitions", clusterPartitions).
			set("cluster.replicas", natsServers).
			set("cluster.pin_ttl", pinTTL.String()).
			set("spool.max_bytes", "4GiB"). // a sixth of it keeps the ids of 40 million events
			set("batch.flush_interval", "200ms").
			set("backend.timeout", "5s").
			write(t)
		f.begin(i)
	}
	for _, m := range f.all {
		m.ready()
	}
	f.load = &workload{ledger: newLedger(), unsure: true}
	f.aim()
	f.load.begin(t.Context(), clusterProducers, seed)
	f.load.publish(t, clusterPublishers, seed, f.nats.urls)
	return f
}

// begin starts the next life of a replica.
func (f *fleet) begin(i int) {
	f.lives++
	url, leave := f.witness.attend(f.t, f.lives)
	f.all[i] = &member{launch(f.t, f.configs[i], "--backend-url", url), leave}
}

// aim points the load at who is there.
func (f *fleet) aim() {
	var urls []string
	for _, m := range f.all {
		if m != nil {
			urls = append(urls, m.traffic)
		}
	}
	f.load.aim(urls...)
}

// run goes on until replicas were killed so many times, then drains and judges.
func (f *fleet) run(kills int) {
	f.measureMove()
	for n := 0; f.deaths[killed] < kills && !f.t.Failed(); n++ {
		if n%4 == 3 {
			f.disturb(func() { f.fell(); f.fell() })
			continue
		}
		f.fell()
	}
	f.halt()
	f.witness.swearIn()
	f.judge(f.drained())
}

// measureMove kills a replica and leaves it dead until the others own its partitions, which docs/cluster.md says
// takes pin_ttl and the takeover.
func (f *fleet) measureMove() {
	f.t.Helper()
	m := f.all[0]
	eventually(f.t, joinBound, "it owns partitions", func() bool {
		text := metrics(m.daemon)
		return strings.Contains(text, `reporterd_cluster_partitions{state="owned"}`) && !strings.Contains(text, "reporterd_cluster_partitions{state=\"owned\"} 0\n")
	})
	f.all[0] = nil
	f.aim()
	m.kill()
	m.leave()
	f.deaths[killed]++
	begun := time.Now()
	pause(f.t.Context(), time.Second) // until it is missed: who is here says so twice a second
	eventually(f.t, pinTTL+10*time.Second, "the others own its partitions", func() bool {
		for _, other := range f.all[1:] {
			got, err := call(testClient, http.MethodGet, other.admin+"/readyz", "", nil)
			if err != nil || got.status != http.StatusOK {
				return false
			}
		}
		return true
	})
	f.t.Logf("partitions of a killed replica moved within %v; pin_ttl is %v", time.Since(begun).Round(10*time.Millisecond), pinTTL)
	f.begin(0)
	f.all[0].readyWithin(joinBound)
	f.aim()
}

// halt returns once no request is in doubt that may be repeated. All replicas and servers are there.
func (f *fleet) halt() {
	f.t.Helper()
	halted := make(chan struct{})
	go func() { // ends with the producers
		f.load.halt()
		close(halted)
	}()
	eventually(f.t, time.Minute, "all that has ids is acknowledged", func() bool {
		select {
		case <-halted:
			return true
		default:
			return false
		}
	})
}

// fell ends one replica, mostly with SIGKILL, and starts it again.
func (f *fleet) fell() {
	i := f.rand.IntN(replicas)
	m := f.all[i]
	f.all[i] = nil
	if f.rand.IntN(8) == 0 {
		f.deaths["asked to stop"]++
		f.aim()
		m.signal(syscall.SIGTERM)
		eventually(f.t, 40*time.Second, "a replica that is asked to stop does", m.gone)
	} else {
		f.deaths[killed]++
		m.kill()
		f.aim()
	}
	m.leave()
	f.autopsy(m.daemon)
	pause(f.t.Context(), time.Duration(f.rand.Int64N(int64(2*time.Second))))
	f.begin(i)
	f.all[i].readyWithin(joinBound)
	f.aim()
	pause(f.t.Context(), time.Duration(f.rand.Int64N(int64(time.Second))))
}

// disturb takes a NATS server away while something else happens.
func (f *fleet) disturb(meanwhile func()) {
	i := f.rand.IntN(natsServers)
	switch f.rand.IntN(3) {
	case 0:
		f.deaths["NATS server stopped"]++
		f.nats.stop(i)
		meanwhile()
		f.nats.start(i)
	case 1:
		f.deaths["NATS server cut off from the others"]++
		f.nats.isolate(i, false)
		meanwhile()
		f.nats.reunite(i, false)
	default:
		f.deaths["NATS server cut off from all"]++
		f.nats.isolate(i, true)
		meanwhile()
		f.nats.reunite(i, true)
	}
	f.nats.led()
}

// autopsy makes sure that nobody died but by our hand.
func (f *fleet) autopsy(d *daemon) {
	log := strings.Join(d.logged(), "\n")
	for _, word := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
		require.NotContains(f.t, log, word)
	}
}

// drained returns the figures once nothing is pending anywhere, and every partition has an owner: then nothing
// that was acknowledged is missing from the sum.
func (f *fleet) drained() (s status) {
	f.t.Helper()
	kept := uint64(f.load.ledger.snapshot().kept.events)
	eventually(f.t, drainBound, "all that was acknowledged is accepted, and nothing is pending", func() bool {
		s = f.all[f.rand.IntN(replicas)].status() // of all replicas together, whichever is asked
		return s.Cluster.Complete && s.Events.Pending == 0 && s.Events.Accepted >= kept
	})
	return s
}

// judge compares the whole state with what is permitted.
func (f *fleet) judge(s status) {
	f.t.Helper()
	l, e := f.load.ledger.snapshot(), s.Events
	f.witness.mu.Lock()
	defer f.witness.mu.Unlock()
	v := checkReplicas(l, f.witness, f.backend.usage().counters())
	for _, problem := range v.problems[:min(20, len(v.problems))] {
		f.t.Error(problem)
	}
	assert.LessOrEqual(f.t, len(v.problems), 20, "problems in all")
	assert.LessOrEqual(f.t, e.Accepted, uint64(l.kept.events+l.doubted.events), "accepted is covered by what was sent")
	assert.Zero(f.t, e.Dead, "dead letters")
	assert.Zero(f.t, e.Lost, "lost without damage")
	assert.LessOrEqual(f.t, v.unclear, e.Ambiguous, "every attempt that nobody knew about was called ambiguous")
	assert.Zero(f.t, f.backend.calls().DiscardedBatches, "batches voided by the backend")
	f.t.Logf("%d lives, %v; events: %d acknowledged, 0 of them missing when this passes, %d in doubt; %d requests refused; "+
		"reports: %d, %d counted more than once (%d events, all explained; %d were called ambiguous)",
		f.lives, f.deaths, l.kept.events, l.doubted.events, l.refused, len(f.witness.reports), v.repeated, v.excess, e.Ambiguous)
}
