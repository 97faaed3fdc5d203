package dashboard

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/console/source"
	"github.com/reporterd/reporterd/internal/durable"
)

// Errors of a Store.
var (
	ErrUnknown   = errors.New("dashboard: there is no dashboard of this name")
	ErrExists    = errors.New("dashboard: a dashboard of this name is there already")
	ErrAutomatic = errors.New("dashboard: this one is made for each service: save it under another name")
)

// Options of Open.
type Options struct {
	Dir     string        // a file for each dashboard, NAME.json; made when the first is saved
	Sources *source.Store // answers
	// Services are those that get a dashboard of their own: ids, and what they are called.
	Services func() map[string]string
	// Operators are the tokens that open every dashboard, with the scope read; nil: no token is needed.
	Operators *access.Tokens
	Log       *zap.Logger // nil: none
}

// Store has the dashboards. Its methods may be called concurrently.
type Store struct {
	options Options

	mu    sync.Mutex // guards saved, and the files
	saved map[string]*Dashboard
}

// Open reads the dashboards of a directory. A file that cannot be read is logged and left as it is: all other files are served. It opens no
// file for longer.
func Open(o Options) *Store {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s := &Store{options: o, saved: make(map[string]*Dashboard)}
	files, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.Log.Warn("cannot read the dashboards", zap.Error(err))
	}
	for _, f := range files {
		name, is := strings.CutSuffix(f.Name(), ".json")
		if !is {
			continue
		}
		text, err := os.ReadFile(filepath.Join(o.Dir, f.Name()))
		var d *Dashboard
		if err == nil {
			d, err = Read(text)
		}
		if err == nil && d.Name != name {
			err = fmt.Errorf("dashboard: its name is %q", d.Name)
		}
		if err != nil {
			o.Log.Warn("cannot read a dashboard: it is not shown", zap.String("file", f.Name()), zap.Error(err))
			continue
		}
		s.saved[name] = d
	}
	return s
}

// automaticPrefix begins the names of dashboards that each service gets.
const automaticPrefix = "service-"

// find returns a dashboard, a saved one or one that a service gets.
func (s *Store) find(name string) (*Dashboard, error) {
	s.mu.Lock()
	d := s.saved[name]
	s.mu.Unlock()
	if d != nil {
		return d, nil
	}
	if id, is := strings.CutPrefix(name, automaticPrefix); is {
		services := s.options.Services()
		for _, service := range slices.Sorted(maps.Keys(services)) {
			if pathName(service) == id {
				return first(name, service, services[service]), nil
			}
		}
	}
	return nil, ErrUnknown
}

// all returns the saved dashboards and those of services, by name.
func (s *Store) all() (list []*Dashboard) {
	byName := make(map[string]*Dashboard)
	services := s.options.Services()
	for _, service := range slices.Sorted(maps.Keys(services)) {
		name := automaticPrefix + pathName(service)
		if namePattern.MatchString(name) && byName[name] == nil {
			byName[name] = first(name, service, services[service])
		}
	}
	s.mu.Lock()
	maps.Copy(byName, s.saved)
	s.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		list = append(list, byName[name])
	}
	return list
}

// isSaved reports whether a dashboard has a file.
func (s *Store) isSaved(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saved[name] != nil
}

// save puts a dashboard in place of the one of its name, durably. The token of before stays unless d has one.
func (s *Store) save(d *Dashboard, create bool) error {
	if strings.HasPrefix(d.Name, automaticPrefix) {
		return ErrAutomatic
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.saved[d.Name]
	switch {
	case before != nil && create:
		return ErrExists
	case before == nil && len(s.saved) >= mostDashboards:
		return fmt.Errorf("dashboard: expected at most %d", mostDashboards)
	case before != nil && d.TokenSHA256 == "":
		d.TokenSHA256 = before.TokenSHA256
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	if err := os.MkdirAll(s.options.Dir, 0o700); err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	if err := durable.WriteFile(filepath.Join(s.options.Dir, d.Name+".json"), text, 0o600); err != nil {
		return fmt.Errorf("dashboard: %w", err)
	}
	// A crash here leaves the new file, which the next start reads.
	s.saved[d.Name] = d
	return nil
}

// remove deletes a dashboard.
func (s *Store) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved[name] == nil {
		return ErrUnknown
	}
	if err := os.Remove(filepath.Join(s.options.Dir, name+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("dashboard: %w", err)
	}
	delete(s.saved, name)
	return nil
}

// opens reports whether a reader's token opens a dashboard. The comparison takes constant time.
func (d *Dashboard) opens(token string) bool {
	digest := sha256.Sum256([]byte(token))
	return d.TokenSHA256 != "" && token != "" && subtle.ConstantTimeCompare([]byte(hex.EncodeToString(digest[:])), []byte(strings.ToLower(d.TokenSHA256))) == 1
}
