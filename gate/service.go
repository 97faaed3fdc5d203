package gate

// Service is one API whose calls are asked about.
type Service struct {
	ID          string
	Hosts       []string // in lower case, without ports; empty: every host that no other service names
	Credentials Credentials
	Rules       []*Rule
	Refusals    map[Reason]Refusal // what callers are told instead of the usual words
}

// Reason is why a call does not pass, as far as its caller is told.
type Reason string

// The reasons, by the names that a file has for them.
const (
	Missing  Reason = "auth_missing"    // no credentials
	Failed   Reason = "auth_failed"     // credentials that 3scale does not know or refuses
	NoMatch  Reason = "no_match"        // no rule is about the call
	Exceeded Reason = "limits_exceeded" // a limit of the application
)

// Refusal is a status and a text.
type Refusal struct {
	Status int
	Text   string // one line
}

// usual is what callers are told unless their service says something else.
var usual = map[Reason]Refusal{
	Missing:  {401, "credentials are missing"},
	Failed:   {403, "credentials are not accepted"},
	NoMatch:  {404, "there is no such call"},
	Exceeded: {429, "usage limits are exceeded"},
}

// refusal returns what a service says for a reason.
func (s *Service) refusal(why Reason) Refusal {
	refusal := usual[why]
	own := s.Refusals[why]
	if own.Status != 0 {
		refusal.Status = own.Status
	}
	if own.Text != "" {
		refusal.Text = own.Text
	}
	return refusal
}

// Services are those of one file. They do not change.
type Services struct {
	all    []*Service
	byHost map[string]*Service
	rest   *Service // for every other host; nil: there is none
}

// All returns the services in the order of their file.
func (s *Services) All() []*Service { return s.all }

// of returns the service of a host, or nil.
func (s *Services) of(host string) *Service {
	if found := s.byHost[host]; found != nil {
		return found
	}
	return s.rest
}

// Trial is what a file says of one call.
type Trial struct {
	Service *Service
	Path    string // as the rules see it
	Matched []*Rule
	Usage   []string // METRIC=VALUE
	Why     string   // why the call is refused before anything is asked; empty: it is not
}
