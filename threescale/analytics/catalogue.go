package analytics

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// Service is a service as the portal names it.
type Service struct {
	ID             int64
	Key            string // what reports call it
	Name           string
	SystemName     string
	State          string
	BackendVersion string // 1: user key; 2: app id
}

// Metric is a metric or a method of a service.
type Metric struct {
	ID         int64
	SystemName string // what reports call it
	Name       string // for people
	Unit       string
	ParentID   int64 // 0: a metric; else the method's metric
}

func (m *Metric) shape() metricShape { return metricShape{m.ID, m.Name, m.SystemName, m.Unit} }

// Application is an application as the portal names it.
type Application struct {
	ID          int64
	Key         string // what the figures call it: the app_id, or a hash of the user key
	Name        string
	State       string
	ServiceID   int64
	ServiceKey  string
	ServiceName string
	PlanID      int64
	PlanName    string
	AccountID   int64
	AccountName string
}

// Source is where answers come from. All functions may be called concurrently. Those that return lists return them in
// the order of their ids.
type Source struct {
	Services     func(ctx context.Context) ([]Service, error)
	Metrics      func(ctx context.Context, serviceKey string) ([]Metric, error)
	Applications func(ctx context.Context, serviceKey string) ([]Application, error)

	// Hours calls add with the figures of a metric, methods included, in each UTC hour that begins in [since, until) and
	// has any: of one application, or of all of a service where application is empty.
	Hours func(ctx context.Context, q Question, add func(hour time.Time, value int64)) error
	// Top returns the sums of a metric by application: of those with the most, or of all with any.
	Top func(ctx context.Context, q Question) (map[string]int64, error)
	// Kept is since when figures are kept; zero: not known.
	Kept func() time.Time
}

// Question asks for figures.
type Question struct {
	Service, Application, Metric string
	Figure                       Figure
	Since, Until                 time.Time
	Most                         int // of Top: how many applications; 0: all
}

// Figure is which of the figures is shown.
type Figure string

// The figures. Delivered ones compare with what 3scale counts.
const (
	Delivered Figure = "delivered"
	Accepted  Figure = "accepted"
	Pending   Figure = "pending"
	Dead      Figure = "dead"
	Ambiguous Figure = "ambiguous"
)

var figures = []Figure{Delivered, Accepted, Pending, Dead, Ambiguous}

// MadeUpID is the number of something that no portal gave one: 48 bits of a hash of its names, so that it is the same
// tomorrow, and exact in every JSON reader.
func MadeUpID(names ...string) int64 {
	h := sha256.New()
	for _, n := range names {
		h.Write(binary.AppendUvarint(nil, uint64(len(n))))
		h.Write([]byte(n))
	}
	sum := h.Sum(nil)
	return int64(binary.BigEndian.Uint64(sum)>>16) | 1<<47
}

// hashedPrefix begins the key of an application that is only known by its user key.
const hashedPrefix = "user_key:"

// HashedKey is the key of an application by its user key: a hash, since the key is a secret.
func HashedKey(userKey string) string {
	sum := sha256.Sum256([]byte(userKey))
	return hashedPrefix + hex.EncodeToString(sum[:6])
}
