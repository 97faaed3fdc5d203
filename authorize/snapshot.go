package authorize

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// snapshot is what survives a stop in good order: the answers that led to a yes, with their age, and the
// counters of their applications. Answers for user keys, and those that show keys, are left out. It holds
// no key, but the secret of the hashes of those that were shown. A reader of the file can try keys against it, so it
// belongs in the data directory only.
type snapshot struct {
	Version      int                      `json:"version"`
	Secret       []byte                   `json:"secret"`
	Services     []quota.SavedService     `json:"services"`
	Applications []quota.SavedApplication `json:"applications"`
	Entries      []savedEntry             `json:"entries"`
}

type savedEntry struct {
	Application int       `json:"application"` // index
	Key         []byte    `json:"key"`
	Asked       time.Time `json:"asked"`
	Answered    time.Time `json:"answered"`
}

const snapshotVersion = 1

// Save writes what can be remembered across a restart. It is called when nothing is answered and nothing accepted any more:
// counters that move on make a snapshot wrong.
func (a *Authorizer) Save(w io.Writer) error {
	if !a.quota.Loaded() {
		return errors.New("authorize: save: pending usage is not counted yet")
	}
	s := snapshot{Version: snapshotVersion, Secret: a.secret[:]}
	services, applications := map[*quota.Service]int{}, map[*quota.Application]int{}
	a.good.each(func(e *entry) {
		if e.appID == "" || e.oauth != nil || e.keys != nil {
			return
		}
		app := e.application
		if _, known := services[app.Service()]; !known {
			services[app.Service()] = len(s.Services)
			s.Services = append(s.Services, app.Service().Save(e.serviceID))
		}
		if _, known := applications[app]; !known {
			applications[app] = len(s.Applications)
			s.Applications = append(s.Applications, app.Save(e.appID, services[app.Service()]))
		}
		s.Entries = append(s.Entries, savedEntry{applications[app], e.key[:], e.asked, e.answered})
	})
	if err := json.NewEncoder(w).Encode(s); err != nil {
		return fmt.Errorf("authorize: save: %w", err)
	}
	return nil
}

// Restore takes up what Save wrote, after the Tracker began to follow usage, and before anything is accepted, sent or answered:
// the totals of a snapshot contain the usage that is still pending, also what the backlog's reader has not counted yet. Answers
// keep their age, and are asked for again when their time is over. After an error the Authorizer knows nothing, and asks.
func (a *Authorizer) Restore(r io.Reader) error {
	var s snapshot
	if err := json.NewDecoder(r).Decode(&s); err != nil {
		return fmt.Errorf("authorize: restore: %w", err)
	}
	if s.Version != snapshotVersion || len(s.Secret) != len(a.secret) || !s.sound() {
		return errors.New("authorize: restore: not a snapshot of this version")
	}
	copy(a.secret[:], s.Secret)
	now := time.Now()
	services := make([]*quota.Service, len(s.Services))
	for i := range s.Services {
		services[i] = a.quota.Service(quota.IdentifyService(s.Services[i].ID, threescale.Credentials{}))
		services[i].Restore(s.Services[i].Metrics, now)
	}
	for i := range s.Entries {
		saved := &s.Entries[i]
		if saved.Asked.After(now) || saved.Answered.After(now) {
			continue // the clock went back: its age is unknown
		}
		one := &s.Applications[saved.Application]
		id := quota.IdentifyService(s.Services[one.Service].ID, threescale.Credentials{})
		app := a.quota.Refer(quota.IdentifyApplication(id, threescale.Application{ID: one.ID}), services[one.Service])
		app.Restore(one, now)
		a.good.put(&entry{
			key: digest(saved.Key), application: app, asked: saved.Asked, answered: saved.Answered,
			serviceID: s.Services[one.Service].ID, appID: one.ID,
		})
	}
	return nil
}

// sound reports whether every index is in range.
func (s *snapshot) sound() bool {
	for i := range s.Applications {
		if n := s.Applications[i].Service; n < 0 || n >= len(s.Services) {
			return false
		}
	}
	for i := range s.Entries {
		if n := s.Entries[i].Application; n < 0 || n >= len(s.Applications) || len(s.Entries[i].Key) != len(digest{}) {
			return false
		}
	}
	return true
}
