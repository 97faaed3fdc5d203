package test

import "net/http"

// order is what the witness does with one report, instead of letting it pass.
type order struct {
	status int  // answered
	landed bool // the backend counts it first
	cut    bool // the connection ends instead of an answer
	hang   bool // there is no answer until the daemon gives up
}

// obeys tells what to do with the next reports, one each.
func (w *witness) obeys(orders ...order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.orders = append(w.orders, orders...)
}

// ordered takes the next order.
func (w *witness) ordered() (o order, any bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.orders) == 0 {
		return order{}, false
	}
	o, w.orders = w.orders[0], w.orders[1:]
	return o, true
}

// obey does as it is told.
func (w *witness) obey(rw http.ResponseWriter, r *http.Request, body []byte, life int, o order) {
	if o.landed {
		w.forward(r, body, attempt{life: life})
	} else {
		w.saw(body, attempt{life: life})
	}
	if o.hang {
		<-r.Context().Done() // bounded by the daemon's timeout, or its death
	}
	if o.cut || o.hang {
		panic(http.ErrAbortHandler)
	}
	rw.WriteHeader(o.status)
}

// attempts is how many reports arrived, repetitions included.
func (w *witness) attempts() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.reports {
		n += len(s.attempts)
	}
	return n
}

// unheard says whether the witness's answers get lost on their way from now on.
func (w *witness) unheard(lost bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deaf = lost
}
