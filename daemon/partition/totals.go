package partition

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// The backend counts in 64-bit integers, by service, application, metric and period. A counter that passes its limit crashes the
// worker in the middle of a batch, which is then counted again and again. The counter of eternity is the largest of them, and that
// of the topmost metric of a service contains all the rest: so what is accepted for a service in all is held below half of the
// limit, and the other half is left for what the backend counted before. One application may use an eighth of that.
const (
	serviceLimit     = uint64(1) << 62
	applicationLimit = uint64(1) << 59

	// A value from large on is counted for its application as well, and before it is accepted.
	large = uint64(1) << 40

	// totalsStep is by how much a total may pass what the file says. A start takes the file's figures for the totals, and what it
	// does not name for at most totalsStep: so a crash adds at most that much, and small totals need no file.
	totalsStep = uint64(1) << 44

	mostTotals = 100_000 // services, and applications with large values; those beyond share a total
)

// totals are what was accepted, ever. They may be too large, by values that were refused later for another reason, by duplicates,
// and by totalsStep for each crash, and never too small. Any number of goroutines may use them.
type totals struct {
	log       *zap.Logger
	write     func([]byte) error // returns once it is durable
	exhausted atomic.Bool        // a service or an application reached its limit

	last atomic.Pointer[lastService] // of the events that were counted last; nil at first

	mu           sync.Mutex // guards what follows; held while the file is written, which large values and each totalsStep cause
	services     map[string]*total
	applications map[string]*total
}

// total is one sum. It passes durable, which is what the file says, only while the file is written or cannot be written.
type total struct {
	sum, durable atomic.Uint64
	counted      *lastService // of the event that was counted last, if any; guarded by the mutex of totals
}

// lastService is a service with its total, which most events find here without a lock. It is immutable.
type lastService struct {
	id          string
	credentials threescale.Credentials
	total       *total
}

// savedTotals is the file.
type savedTotals struct {
	Services     map[string]uint64 `json:"services,omitempty"`
	Applications map[string]uint64 `json:"applications,omitempty"` // by a hash
}

// newTotals returns the totals of a file, which may be nil. Contents that are not those of such a file are damage: everything that
// was accepted counts as totalsStep then, and delivery goes on, since the file holds bounds and no usage.
func newTotals(log *zap.Logger, file []byte, write func([]byte) error) *totals {
	var saved savedTotals
	if file != nil {
		if err := json.Unmarshal(file, &saved); err != nil {
			log.Error("the file of accepted totals is damaged: large values are counted anew, and 3scale's counters may pass their limit", zap.Error(err))
			saved = savedTotals{}
		}
	}
	t := &totals{log: log, write: write, services: restoreTotals(saved.Services), applications: restoreTotals(saved.Applications)}
	for _, s := range t.services {
		if s.sum.Load() >= serviceLimit {
			t.exhausted.Store(true)
		}
	}
	return t
}

// loadTotals returns the totals of the data directory. An error is that of reading the file.
func loadTotals(log *zap.Logger, s *spool.Spool) (*totals, error) {
	file, err := s.LoadTotals()
	if err != nil {
		return nil, err
	}
	return newTotals(log, file, s.SaveTotals), nil
}

func restoreTotals(saved map[string]uint64) map[string]*total {
	all := make(map[string]*total, len(saved))
	for name, n := range saved {
		all[name] = newTotal(min(n, serviceLimit), n)
	}
	return all
}

func newTotal(sum, durable uint64) *total {
	t := new(total)
	t.sum.Store(sum)
	t.durable.Store(durable)
	return t
}

// totalOf returns a total, a new one if there is none.
func totalOf(all map[string]*total, name string) *total {
	if all[name] == nil {
		if len(all) >= mostTotals {
			name = ""
		}
		if all[name] == nil {
			all[strings.Clone(name)] = newTotal(0, totalsStep)
		}
	}
	return all[name]
}

// nameOf is what a service is counted under: its id, which beside a provider key is what follows the last dash, or a hash of the
// provider key whose default service it is.
func nameOf(serviceID string, c threescale.Credentials) string {
	if c.ProviderKey == "" {
		return serviceID
	}
	if serviceID != "" {
		return serviceID[strings.LastIndexByte(serviceID, '-')+1:]
	}
	return "default/" + hash(c.ProviderKey)
}

func hash(parts ...string) string {
	sum := sha256.New()
	for _, p := range parts {
		_, _ = fmt.Fprintf(sum, "%d %s", len(p), p)
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// Admit returns why an event cannot be taken: it would make a counter of the backend pass its limit. Empty: it can be, and its large
// values are counted from now on, whether it is accepted in the end or not.
func (t *totals) Admit(e *event.Event) (why string) {
	size, most := sizeOfUsage(e.Usage)
	if most < large && !t.exhausted.Load() {
		return ""
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	service := totalOf(t.services, nameOf(e.ServiceID, e.Credentials))
	if sum := service.sum.Load(); sum >= serviceLimit || size > serviceLimit-sum {
		t.exhausted.Store(true)
		return fmt.Sprintf("would bring what was accepted for this service above %d: the backend's counters have a limit", serviceLimit)
	}
	if most < large {
		return ""
	}
	application := totalOf(t.applications, hash(nameOf(e.ServiceID, e.Credentials), e.Application.ID, e.Application.UserKey))
	if size > applicationLimit-min(application.sum.Load(), applicationLimit) {
		return fmt.Sprintf("would bring the large values that were accepted for this application above %d: the backend's counters have a limit", applicationLimit)
	}
	service.sum.Add(size)
	application.sum.Add(size)
	if err := t.saveLocked(service, application); err != nil {
		service.sum.Add(-size)
		application.sum.Add(-size)
		return "is large, and how much was accepted cannot be written down at the moment: " + err.Error()
	}
	return ""
}

// count adds events that were accepted, except for the large ones, which Admit counted. Values below large, of events of a few
// metrics each, do not take a sum from the service's limit to the end of 64 bits: Admit refuses more from the limit on.
func (t *totals) count(events []event.Event) {
	for i := range events {
		e := &events[i]
		size, most := sizeOfUsage(e.Usage)
		if e.Duplicate || most >= large {
			continue
		}
		service := t.serviceOf(e)
		sum := service.sum.Add(size)
		if sum >= serviceLimit {
			t.exhausted.Store(true)
		}
		if sum > service.durable.Load() {
			t.save(service)
		}
	}
}

// serviceOf returns the total of the service of an event.
func (t *totals) serviceOf(e *event.Event) *total {
	if last := t.last.Load(); last != nil && last.id == e.ServiceID && last.credentials == e.Credentials {
		return last.total
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	found := totalOf(t.services, nameOf(e.ServiceID, e.Credentials))
	if c := found.counted; c == nil || c.id != e.ServiceID || c.credentials != e.Credentials {
		key := spool.LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}.Clone()
		found.counted = &lastService{key.ServiceID, key.Credentials, found}
	}
	t.last.Store(found.counted)
	return found
}

func (t *totals) save(service *total) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.saveLocked(service); err != nil {
		t.log.Warn("cannot write down how much was accepted: retrying with the next events", zap.Error(err))
	}
}

// sizeOfUsage is the sum of the values and the largest of them. A sum that passes 64 bits is the largest number.
func sizeOfUsage(u threescale.Usage) (sum, most uint64) {
	for i := range u {
		v := u[i].Value
		most = max(most, v)
		if sum += v; sum < v {
			sum = 1<<64 - 1
		}
	}
	return sum, most
}

// saveLocked writes the file, if one of the sums passed it. The mutex is held.
func (t *totals) saveLocked(changed ...*total) error {
	passed := false
	for _, c := range changed {
		passed = passed || c.sum.Load() > c.durable.Load()
	}
	if !passed {
		return nil
	}
	was := make([]uint64, len(changed))
	for i, c := range changed {
		was[i] = c.durable.Load()
		if sum := c.sum.Load(); sum > was[i] {
			c.durable.Store(sum + totalsStep)
		}
	}
	text, err := json.Marshal(savedTotals{saved(t.services), saved(t.applications)})
	if err == nil {
		err = t.write(text)
	}
	if err != nil {
		for i, c := range changed {
			c.durable.Store(was[i])
		}
	}
	return err
}

// saved are the totals that a file has to name.
func saved(all map[string]*total) map[string]uint64 {
	out := make(map[string]uint64)
	for name, one := range all {
		if durable := one.durable.Load(); durable > totalsStep {
			out[name] = durable
		}
	}
	return out
}
