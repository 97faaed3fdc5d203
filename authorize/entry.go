package authorize

import (
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// entry is one remembered answer. It is immutable except for visited and the links of its cache. It holds no key except those
// that its own answer shows: an oauth answer has the application's first, list_app_keys has all.
type entry struct {
	key         digest
	application *quota.Application // nil: the backend knows of none, or did not get so far
	asked       time.Time          // when the backend was
	answered    time.Time

	*detail // not nil
	status  int16
	denied  bool        // a 409 other than limits_exceeded
	visited atomic.Bool // since the cache's hand passed last

	bytes int32
	next  *entry // of its cache; guarded by it
	prev  *entry

	_ [24]byte // so that it begins with a pair of cache lines, which are fetched together
}

// detail is what few answers have. It is immutable.
type detail struct {
	// Of a 403 or 404: without its text, which repeats what the call said and is made of the call again. Of a 409 that is denied.
	code   string
	text   string // for codes without a text of ours
	reason string // where it does not repeat a key

	oauth *threescale.OAuthApplication
	keys  *threescale.AppKeys
}

// usual is the detail of most answers.
var usual detail

// entryBytes is about what an entry takes with its share of the maps, without texts; applicationBytes
// what an application takes with two metrics and four limits.
const (
	entryBytes       = 256
	applicationBytes = 800
)

func (e *entry) weigh() int64 {
	n := int64(entryBytes + len(e.code) + len(e.text) + len(e.reason))
	if e.application != nil {
		n += applicationBytes
	}
	if e.oauth != nil {
		n += int64(len(e.oauth.ID) + len(e.oauth.Key) + len(e.oauth.RedirectURL))
	}
	if e.keys != nil {
		for _, k := range e.keys.Keys {
			n += int64(len(k)) + 16
		}
	}
	return n
}

// refuses reports whether the answer leads to a no for every usage.
func (e *entry) refuses() bool { return e.status != 0 || e.denied }

func (e *entry) age(now time.Time) time.Duration { return now.Sub(e.answered) }
