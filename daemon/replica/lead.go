package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/internal/respond"
)

// leading is the partition whose owner does what one replica does for all.
const leading = 0

// maxLedBody limits the body of a request that the leader answers, in bytes.
const maxLedBody = 64 << 10

// Leads reports whether this replica owns the first partition, and so does what one replica does for all. While the partition moves
// there may be none, and, when an owner was stalled, for moments two.
func (r *Replica) Leads() bool { return r.partition(leading) != nil }

// Led returns a handler that answers with the leader's h on every replica. It is called before Start.
func (r *Replica) Led(name string, h http.Handler) http.Handler {
	r.led[name] = h
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if r.Leads() {
			h.ServeHTTP(w, q)
			return
		}
		r.askLeader(w, q, name)
	})
}

// ledQuestion is a request for the leader's handler of a name.
type ledQuestion struct {
	Name string
	question
}

// askLeader passes a request on to the leader.
func (r *Replica) askLeader(w http.ResponseWriter, q *http.Request, name string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxLedBody))
	if err != nil {
		respond.Problem(w, http.StatusBadRequest, "body: "+err.Error())
		return
	}
	header := http.Header{"Content-Type": q.Header["Content-Type"], "Accept": q.Header["Accept"]} // and no secret
	data, err := json.Marshal(ledQuestion{name, question{Method: q.Method, Target: q.URL.RequestURI(), Header: header, Body: body}})
	var answer []byte
	if err == nil {
		answer, err = r.read(q.Context(), leading, callLed, data) // comparing twice harms nothing
	}
	var s answered
	if err == nil {
		err = json.Unmarshal(answer, &s)
	}
	if err != nil {
		w.Header().Set("Retry-After", "5")
		respond.Problem(w, http.StatusServiceUnavailable, "the replica that compares for all has not answered; what it was asked to do may go on there: "+err.Error())
		return
	}
	for name, values := range s.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(s.Status)
	_, _ = w.Write(s.Body) // an error means that the client is gone
}

// answerLed answers such a request. It does not end with the time that the other replica waits: what was begun is finished.
func (r *Replica) answerLed(ctx context.Context, data []byte) ([]byte, error) {
	var q ledQuestion
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	h := r.led[q.Name]
	if h == nil {
		return nil, fmt.Errorf("%q: this replica does not answer that: do all have the same configuration?", q.Name)
	}
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), q.Method, q.Target, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	request.Header = q.Header
	w := respond.NewRecorder()
	h.ServeHTTP(w, request)
	return json.Marshal(answered{w.Status, w.Header(), w.Body.Bytes()})
}

// doubt is a call to end proofs.
type doubt struct {
	Service               string
	Applications, Metrics []string
}

// Doubt ends the proofs of what is missing in 3scale's counts, with the owner of the service's partition. It returns once that is done,
// or failed, which is logged: the next comparison does not repeat it.
func (r *Replica) Doubt(service string, applications, metrics []string) {
	data, err := json.Marshal(doubt{service, applications, metrics})
	node := r.node.Load()
	if err == nil && node == nil {
		err = errNotJoined
	}
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		_, err = r.call(ctx, node.Partition(service), callDoubt, data)
	}
	if err != nil {
		r.log.Warn("usage is missing in 3scale's counts, and the owner of its partition cannot be told to ask about it again",
			zap.String("service_id", service), zap.Strings("applications", applications), zap.Error(err))
	}
}

// answerDoubt ends proofs of a partition.
func answerDoubt(p *partition.Partition, data []byte) error {
	var d doubt
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	p.Doubt(d.Service, d.Applications, d.Metrics)
	return nil
}
