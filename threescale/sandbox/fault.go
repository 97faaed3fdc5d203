package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/internal/timespec"
	"github.com/reporterd/reporterd/threescale"
)

// Fault is how calls of one kind go wrong. The zero Fault changes nothing.
//
// With a Status, or with Close, the call's own answer is thrown away; Landed says whether the call was
// handled all the same: counted, as when an answer is lost on its way back. With a Delay alone the call
// is handled and answered as ever, only late. What lands has landed before the delay begins, so it counts
// also when the caller has gone away meanwhile.
type Fault struct {
	// Times is how many calls fail so; 0 is every call until the faults are replaced or reset.
	Times int `json:"times,omitempty"`
	// Chance is the probability, above 0 and up to 1, that a call which could fail does; 0 is always. Calls that are spared
	// do not count for Times.
	Chance float64 `json:"chance,omitempty"`
	// ServiceID restricts the fault to calls that name this service.
	ServiceID string `json:"service_id,omitempty"`
	// Delay is waited before the answer, or until the caller goes away.
	Delay Duration `json:"delay,omitempty"`
	// Landed says that the call is handled before it fails.
	Landed bool `json:"landed,omitempty"`
	// Late is how much later the call lands than it is handled: something in front of the queue holds it. It is for
	// reports, and for authreps, whose answer does not wait for it.
	Late Duration `json:"late,omitempty"`
	// Close closes the connection: without an answer when Status is 0, otherwise after its head and half
	// of its body.
	Close bool `json:"close,omitempty"`
	// Status is answered instead, 200 to 599, with Body, or with an <error> of Code and Text.
	Status     int               `json:"status,omitempty"`
	Code       string            `json:"code,omitempty"`
	Text       string            `json:"text,omitempty"`
	Body       string            `json:"body,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	RetryAfter string            `json:"retry_after,omitempty"` // header Retry-After, seconds or a date
}

// Duration is a time.Duration written "1s" in JSON.
type Duration time.Duration

// MarshalText writes what time.ParseDuration reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what timespec.Duration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := timespec.Duration(string(text))
	*d = Duration(v)
	return err
}

// Faults are the faults of each kind of call, in the order in which they are tried; the first that applies
// is taken. In JSON one kind's faults are an array, or a single object.
type Faults struct {
	Report    list[Fault] `json:"report,omitempty"`
	Authorize list[Fault] `json:"authorize,omitempty"` // oauth_authorize too
	Authrep   list[Fault] `json:"authrep,omitempty"`   // oauth_authrep too
	Analytics list[Fault] `json:"analytics,omitempty"` // the admin portal's /stats
	Account   list[Fault] `json:"account,omitempty"`   // the admin portal's /admin/api

	Worker  list[WorkerFault] `json:"worker,omitempty"`
	Backend *Backend          `json:"backend,omitempty"`
}

func (f *Faults) list(kind callKind) *list[Fault] {
	switch kind {
	case reportCall:
		return &f.Report
	case authrepCall:
		return &f.Authrep
	case analyticsCall:
		return &f.Analytics
	case accountCall:
		return &f.Account
	default:
		return &f.Authorize
	}
}

// check refuses what no fault could mean.
func (f *Faults) check() error {
	for _, kind := range []callKind{reportCall, authorizeCall, authrepCall, analyticsCall, accountCall} {
		for _, fault := range *f.list(kind) {
			if err := fault.check(); err != nil {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
	}
	for i := range f.Worker {
		if err := f.Worker[i].check(); err != nil {
			return fmt.Errorf("worker: %w", err)
		}
	}
	return f.Backend.check()
}

func (f *Fault) check() error {
	switch {
	case f.Status != 0 && (f.Status < 200 || f.Status > 599):
		return fmt.Errorf("status: %d is not between 200 and 599", f.Status)
	case f.Times < 0:
		return fmt.Errorf("times: %d is below 0", f.Times)
	case f.Chance < 0 || f.Chance > 1:
		return fmt.Errorf("chance: %v is not between 0 and 1", f.Chance)
	case f.Delay < 0:
		return fmt.Errorf("delay: %v is below 0", time.Duration(f.Delay))
	case f.Late < 0:
		return fmt.Errorf("late: %v is below 0", time.Duration(f.Late))
	}
	return nil
}

// take returns the fault that meets a call, or nil, and uses it up.
func (f *Faults) take(kind callKind, serviceID string) *Fault {
	faults := f.list(kind)
	for i := range *faults {
		fault := &(*faults)[i]
		if fault.ServiceID != "" && fault.ServiceID != serviceID || fault.Chance > 0 && rand.Float64() >= fault.Chance {
			continue
		}
		taken := *fault
		if fault.Times == 1 {
			*faults = slices.Delete(slices.Clone(*faults), i, i+1)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return &taken
	}
	return nil
}

// handles reports whether the call itself is to be handled.
func (f *Fault) handles() bool { return f.Landed || f.Status == 0 && !f.Close }

// replaces reports whether the call's own answer is thrown away.
func (f *Fault) replaces() bool { return f.Status != 0 || f.Close }

// answer is what is sent instead; meaningless without a Status.
func (f *Fault) answer() *answer {
	a := &answer{status: f.Status, header: http.Header{}, body: []byte(f.Body)}
	if f.Code != "" && f.Body == "" {
		a.header.Set("Content-Type", xmlType)
		a.body = (&threescale.Error{Status: f.Status, Code: f.Code, Text: f.Text}).AppendXML(nil)
	}
	for name, value := range f.Headers {
		a.header.Set(name, value)
	}
	if f.RetryAfter != "" {
		a.header.Set("Retry-After", f.RetryAfter)
	}
	return a
}

// breakOff sends the head of an answer and half of its body, then closes the connection.
func (a *answer) breakOff(w http.ResponseWriter) {
	a.writeHead(w, strconv.Itoa(len(a.body)))
	_, _ = w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// strictly decodes JSON and refuses fields that do not exist.
func strictly(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(into)
}
