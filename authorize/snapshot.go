package authorize

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
)

// Saved is what survives the end of the process: the answers that led to a yes, with their age, and what the Tracker knew of
// their applications. Answers that show keys are left out. It holds no key, but the secrets of the hashes of those that were
// shown. A reader of the file can try keys against them, so it belongs in the data directory only.
type Saved struct {
	Secret  []byte        `json:"secret"`
	Quota   *quota.Saved  `json:"quota"`
	Answers []SavedAnswer `json:"answers"`
}

// SavedAnswer is one remembered answer.
type SavedAnswer struct {
	Key      []byte    `json:"key"`
	Asked    time.Time `json:"asked"`
	Answered time.Time `json:"answered"`
}

// Save returns what can be remembered across a restart or a crash. q is what the Tracker saved. It may be called while calls are
// answered.
func (a *Authorizer) Save(q *quota.Saved) *Saved {
	s := &Saved{Secret: a.secret[:], Quota: q}
	a.good.each(func(e *entry) {
		if e.oauth == nil && e.keys == nil {
			s.Answers = append(s.Answers, SavedAnswer{e.key[:], e.asked, e.answered})
		}
	})
	a.restored.save(s, time.Now().Add(-max(a.options.MaxStale, a.options.TTL)))
	return s
}

// Restore takes up what Save returned, before the Tracker follows usage and before anything is answered. Answers keep their age,
// and are asked for again when their time is over. After an error the Authorizer knows nothing, and asks.
func (a *Authorizer) Restore(s *Saved) error {
	if len(s.Secret) != len(a.secret) || s.Quota == nil {
		return errors.New("authorize: restore: not of this version")
	}
	for i := range s.Answers {
		if len(s.Answers[i].Key) < len(digest{}) {
			return errors.New("authorize: restore: a key is not of this version")
		}
	}
	if err := a.quota.Restore(s.Quota); err != nil {
		return err
	}
	copy(a.secret[:], s.Secret)
	a.restored.set(s.Answers, time.Now())
	for id := range a.configured.Load().byID {
		a.quota.KeepService(quota.ServiceName{ID: id})
	}
	return nil
}

// recall returns the answer of an earlier life for a call, or nil.
func (a *Authorizer) recall(c *call) *entry {
	r := &a.restored
	if !r.some.Load() {
		return a.good.get(c.key) // another call may have taken the last one up since this one looked
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := a.good.get(c.key); e != nil {
		return e // another call took it up
	}
	saved, ok := r.byKey[c.key]
	if !ok {
		return nil
	}
	defer r.deleteLocked(c.key) // after the answer is where every call finds it
	app := a.quota.Refer(c.name(), a.quota.Service(c.service()))
	if !app.Learned() { // what the answer said of limits is not known
		app.Release()
		return nil
	}
	e := &entry{detail: &usual, key: c.key, application: app, asked: saved.Asked, answered: saved.Answered}
	a.good.put(e)
	return e
}

// restoredAnswers are those of an earlier life that no call has asked for yet.
type restoredAnswers struct {
	some atomic.Bool // there are any

	mu    sync.Mutex // guards byKey
	byKey map[digest]SavedAnswer
}

func (r *restoredAnswers) set(list []SavedAnswer, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byKey = make(map[digest]SavedAnswer, len(list))
	for _, one := range list {
		if !one.Asked.After(now) && !one.Answered.After(now) { // else the clock went back: its age is unknown
			r.byKey[digest(one.Key[:len(digest{})])] = one
		}
	}
	r.some.Store(len(r.byKey) > 0)
}

func (r *restoredAnswers) deleteLocked(k digest) {
	delete(r.byKey, k)
	r.some.Store(len(r.byKey) > 0)
}

func (r *restoredAnswers) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.byKey)
}

// save adds those that were given after oldest, and forgets the rest.
func (r *restoredAnswers) save(s *Saved, oldest time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, one := range r.byKey {
		if one.Answered.Before(oldest) {
			delete(r.byKey, k)
			continue
		}
		s.Answers = append(s.Answers, one)
	}
	r.some.Store(len(r.byKey) > 0)
}
