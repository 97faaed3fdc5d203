package ingest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/reporterd/reporterd/internal/memory"
	"github.com/reporterd/reporterd/threescale"
)

// credentialsWithin is how many bytes of a report are read before its credentials must have been among them. 3scale's clients
// send them first.
const credentialsWithin = 64 << 10

// reportBody is the body of a report. It reserves memory for what is read through it, and ends with an error when the credentials
// of a large report are missing or wrong: only a report of a configured service may take much memory.
type reportBody struct {
	bodyReader
	account memory.Account
	bytes   int
	context context.Context
	begin   []byte                  // the first bytes of a form, until they were checked
	check   func(form string) error // of its credentials; nil: it was called, or the body is no form
}

// newReportBody replaces the body of a request by a reportBody.
func (h *Handler) newReportBody(w http.ResponseWriter, r *http.Request) *reportBody {
	b := &reportBody{bodyReader: bodyReader{ReadCloser: r.Body, writer: w}, account: memory.Account{Budget: h.memory}, context: r.Context()}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		form := *r
		services, passthrough, vouched := h.services.Load(), h.passthrough, h.vouch != nil
		b.check = func(begin string) error { return services.checkCredentials(&form, begin, passthrough, vouched) }
	}
	r.Body = b
	return b
}

// Read implements io.Reader. The error is errNoMemory, a *threescale.Error, or one of the connection.
func (b *reportBody) Read(p []byte) (int, error) {
	n, err := b.bodyReader.Read(p)
	b.bytes += n
	if !b.account.Grow(int64(n) * readWeight) {
		return 0, errNoMemory
	}
	if bad := b.checkBegin(p[:n]); bad != nil {
		return 0, bad
	}
	if err == io.EOF && b.bytes > memory.Floor {
		ctx, cancel := context.WithTimeout(b.context, decodeWait)
		defer cancel()
		if !b.account.Exclusive(ctx, int64(b.bytes)*(reportWeight-readWeight)) {
			return 0, errNoMemory
		}
	}
	return n, err
}

// checkBegin checks the credentials as soon as credentialsWithin bytes have been read.
func (b *reportBody) checkBegin(next []byte) error {
	if b.check == nil {
		return nil
	}
	if b.begin = append(b.begin, next...); len(b.begin) < credentialsWithin {
		return nil
	}
	check, begin := b.check, string(b.begin)
	b.check, b.begin = nil, nil
	return check(begin)
}

// credentialsLate is the answer to a large report whose first bytes have no credentials.
func credentialsLate() error {
	return &bodyError{http.StatusRequestEntityTooLarge, "a report of more than 64 KiB must begin with its credentials: service_token and service_id, or provider_key"}
}

// checkCredentials refuses a report by the credentials in its query and in the first part of its form. They are read as those of
// a whole report are.
func (s *services) checkCredentials(r *http.Request, begin string, passthrough, vouched bool) error {
	var known []string
	whole := begin[:strings.LastIndexByte(begin, '&')+1]
	for pair := range strings.SplitSeq(whole, "&") {
		if name, _, _ := strings.Cut(pair, "="); name == "service_token" || name == "service_id" || name == "provider_key" {
			known = append(known, pair)
		}
	}
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Join(known, "&"))), -1
	params, err := threescale.ReadParams(r, threescale.ReadOptions{MaxParams: maxReportParams, MaxQuery: -1, Lenient: true})
	if err != nil {
		return err
	}
	credentials, id, err := threescale.ReadCredentials(params, true)
	var refused *threescale.Error
	switch {
	case errors.As(err, &refused):
		return credentialsLate()
	case err != nil:
		return err
	}
	_, err = s.admit(id, credentials, passthrough, vouched)
	return err
}
