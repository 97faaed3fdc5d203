package sandbox

import "slices"

// directory is the truth about services and applications; what the listener and the worker believe may be
// older (view). Its owner's mutex guards it.
type directory struct {
	services  map[string]*service
	providers map[string]string // key of a provider → id of its default service
	members   map[string]*members
	count     int   // applications of all services
	numbers   int64 // the admin portal's ids given to applications
	plans     int64 // and to plans that an application has for itself

	portalPlans map[string][]*plan // made through the admin portal, by service
	accounts    []developer        // made through the admin portal
}

// members are one service's applications.
type members struct {
	byID      map[string]*application
	byUserKey map[string]*application
}

// firstApplication and firstPlan are where the admin portal's ids begin: more than 32 bits, as the real ones.
const (
	firstApplication = 2_555_418_000_000
	firstPlan        = 2_357_355_970_000
	firstAccount     = 2_445_582_600_000
)

func newDirectory() *directory {
	return &directory{
		services:  make(map[string]*service),
		providers: make(map[string]string),
		members:   make(map[string]*members),

		portalPlans: make(map[string][]*plan),
	}
}

func (d *directory) putService(s *service) {
	d.services[s.id] = s
	if d.members[s.id] == nil {
		d.members[s.id] = &members{byID: make(map[string]*application), byUserKey: make(map[string]*application)}
	}
}

// putApplication adds an application or replaces the one of the same id.
func (d *directory) putApplication(serviceID string, a *application) {
	if a.number == 0 {
		d.numbers++
		a.number = firstApplication + d.numbers
	}
	d.removeApplication(serviceID, a.id)
	m := d.members[serviceID]
	m.byID[a.id] = a
	if a.userKey != "" {
		m.byUserKey[a.userKey] = a
	}
	d.count++
}

func (d *directory) removeApplication(serviceID, id string) {
	m := d.members[serviceID]
	old := m.byID[id]
	if old == nil {
		return
	}
	delete(m.byID, id)
	if m.byUserKey[old.userKey] == old {
		delete(m.byUserKey, old.userKey)
	}
	d.count--
}

func (d *directory) service(id string) *service { return d.services[id] }

func (d *directory) application(serviceID, id string) *application {
	if m := d.members[serviceID]; m != nil {
		return m.byID[id]
	}
	return nil
}

func (d *directory) applicationByUserKey(serviceID, key string) *application {
	if m := d.members[serviceID]; m != nil {
		return m.byUserKey[key]
	}
	return nil
}

// serviceByToken returns the service when token opens it, else nil.
func (d *directory) serviceByToken(serviceID, token string) *service {
	if s := d.services[serviceID]; s != nil && slices.Contains(s.tokens, token) {
		return s
	}
	return nil
}
