package partition

import (
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// named is called with the application of a user key, as the backend told it.
func (p *Partition) named(serviceID, userKey, id string) { p.ledger.learn(serviceID, userKey, id) }

// nameOf returns the one name under which an application of a lane is shown: its id, or, for a user key whose application is not
// known, the name that the ledger gives the key.
func (p *Partition) nameOf(lane spool.LaneKey, a threescale.Application) string {
	if id := resolveUserKey(p.quota, lane.ServiceID, lane.Credentials, a); id != "" {
		return id
	}
	name := ledger.ApplicationName(a)
	if l := p.openLedger(); l != nil {
		return l.ApplicationID(lane.ServiceID, name)
	}
	return name
}

// hasUserKey reports whether usage of an application may have been reported with a user key. It is true if that cannot be read.
func (p *Partition) hasUserKey(service, app string) bool {
	l := p.openLedger()
	if l == nil {
		return ledger.IsUserKey(app)
	}
	found, err := l.HasUserKey(service, app)
	return found || err != nil
}
