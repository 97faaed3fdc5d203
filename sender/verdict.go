package sender

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Kind says what becomes of a batch after an attempt.
type Kind uint8

// The verdicts.
const (
	Delivered Kind = iota + 1 // the backend took it
	Split                     // too large for this backend: send it in parts; alone: a dead letter
	Bisect                    // never taken as it is: halve until the guilty transaction is alone
	Hold                      // something must be put right first: keep everything, try slowly
	Retry                     // not counted: try again
	Ambiguous                 // may have been counted, nobody knows
)

var kinds = [...]string{Delivered: "delivered", Split: "split", Bisect: "bisect", Hold: "hold", Retry: "retry", Ambiguous: "ambiguous"}

// String returns the verdict's name in logs and metrics.
func (k Kind) String() string {
	if int(k) < len(kinds) && k > 0 {
		return kinds[k]
	}
	return "unknown"
}

// Outcome is what came of one attempt: an answer, or the error that took its place.
type Outcome struct {
	Answer *threescale.Answer
	Err    error
}

// Verdict is the judgement on an attempt.
type Verdict struct {
	Kind Kind
	// Code says why in one word: the backend's own code where it gave one, otherwise one of
	// "accepted", "too_large", "rate_limited", "unavailable", "timeout", "server_error", "gateway",
	// "forbidden", "not_found", "redirect", "unexpected_answer", "connection", "no_answer". Never anything secret.
	Code string
	// Wait is the least to wait before the next attempt; 0: none was named.
	Wait time.Duration
}

// Judge says what becomes of a batch. It is a pure function of what was seen, and it never believes that
// a report was not counted unless that is certain.
//
// What the backend itself can answer was recorded; the rest of the table is about what stands in front
// of it. An answer that does not look like the backend's own never condemns a transaction, because a
// gateway with a wrong certificate or a maintenance page would condemn them all: it holds the lane.
func Judge(o Outcome) Verdict {
	if o.Answer == nil {
		return judgeError(o.Err)
	}
	v := judgeStatus(o.Answer)
	if v.Kind == Retry || v.Kind == Ambiguous {
		v.Wait = max(o.Answer.RetryAfter, v.Wait)
	}
	return v
}

// unexpectedAnswer is the code of an answer that is not the backend's.
const unexpectedAnswer = "unexpected_answer"

// judgeError judges an attempt without an answer. Only what certainly was not written was certainly not
// counted: a name that does not resolve, a refused connection, a failed TLS handshake.
func judgeError(err error) Verdict {
	var transport *threescale.TransportError
	if errors.As(err, &transport) && !transport.Written {
		return Verdict{Kind: Retry, Code: "connection"}
	}
	return Verdict{Kind: Ambiguous, Code: "no_answer"}
}

func judgeStatus(a *threescale.Answer) Verdict {
	switch {
	case a.Status == http.StatusAccepted && isBackendAcceptance(a):
		return Verdict{Kind: Delivered, Code: "accepted"}
	case a.Status < 300:
		return Verdict{Kind: Ambiguous, Code: unexpectedAnswer, Wait: foreignWait}
	case a.Status >= 500:
		return judgeServerError(a.Status)
	case a.Status >= 300 && a.Status < 400:
		return Verdict{Kind: Hold, Code: "redirect"}
	}
	switch a.Status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusForbidden, http.StatusNotFound:
		return judgeRefusal(a)
	case http.StatusRequestEntityTooLarge:
		return Verdict{Kind: Split, Code: "too_large"}
	case http.StatusTooManyRequests:
		return Verdict{Kind: Retry, Code: "rate_limited"}
	case http.StatusRequestTimeout:
		// The body did not arrive in time, hence was not read.
		return Verdict{Kind: Retry, Code: "timeout"}
	}
	return Verdict{Kind: Hold, Code: unexpectedAnswer}
}

// foreignWait is the least time before a report is repeated that was answered with a success that is not the
// backend's. Whatever answers so does it until an operator changes something, and each repetition may be counted.
const foreignWait = 5 * time.Minute

// isBackendAcceptance reports whether a 202 is the backend's own: without a body, of the length announced, and no
// web page (recording report-1). Another 202, and any other success, was answered by something in
// front of the backend. It says neither that the backend got the report nor that it did not, so it is no delivery,
// and whether the report was counted is unknown.
func isBackendAcceptance(a *threescale.Answer) bool {
	return len(a.Body) == 0 && !a.Truncated && !strings.HasPrefix(strings.ToLower(a.ContentType), "text/html")
}

// judgeQuestion judges the answer to a question of the prober. A question is never counted, so a success that is not
// the backend's holds the lane.
func judgeQuestion(o Outcome) Verdict {
	v := Judge(o)
	if o.Answer != nil && o.Answer.Status < 300 {
		v = Verdict{Kind: Hold, Code: unexpectedAnswer}
	}
	return v
}

// judgeServerError judges 5xx. The listener answers 500 also when its database failed after the report
// was queued; a proxy that answers 502 or 504 may have passed it on. Only 503 says that nobody looked.
func judgeServerError(status int) Verdict {
	switch status {
	case http.StatusServiceUnavailable:
		return Verdict{Kind: Retry, Code: "unavailable"}
	case http.StatusInternalServerError:
		return Verdict{Kind: Ambiguous, Code: "server_error"}
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return Verdict{Kind: Ambiguous, Code: "gateway"}
	}
	return Verdict{Kind: Ambiguous, Code: unexpectedAnswer}
}

// refusesTimestamp reports whether the backend refused the report for a timestamp.
func (v Verdict) refusesTimestamp() bool {
	return v.Code == threescale.CodeTimestampTooOld || v.Code == threescale.CodeTimestampTooNew
}

// judgeRefusal judges the statuses that the backend itself refuses a report with. None of them counted
// anything. Only a code can condemn a transaction, and only one that may be about a transaction.
func judgeRefusal(a *threescale.Answer) Verdict {
	switch a.Code {
	case threescale.CodeServiceTokenInvalid, threescale.CodeProviderKeyInvalid,
		threescale.CodeProviderKeyInvalidOrServiceMissing, threescale.CodeServiceIDInvalid,
		threescale.CodeProviderKeyOrServiceTokenRequired:
		return Verdict{Kind: Hold, Code: a.Code}
	case threescale.CodeServiceIDMissing, threescale.CodeContentTypeInvalid:
		// About the call as a whole: halving it would condemn every transaction in turn.
		return Verdict{Kind: Hold, Code: a.Code}
	case threescale.CodeTimestampTooOld, threescale.CodeTimestampTooNew:
		return Verdict{Kind: Bisect, Code: a.Code}
	case threescale.CodeBadRequest:
		if strings.Contains(a.Text, "exceeds limit") {
			return Verdict{Kind: Split, Code: a.Code}
		}
		return Verdict{Kind: Bisect, Code: a.Code}
	case threescale.CodeApplicationNotFound, threescale.CodeMetricInvalid, threescale.CodeUserKeyInvalid,
		threescale.CodeAuthenticationError, threescale.CodeUsageValueInvalid:
		// Never answered to a report so far; whoever does has looked at a transaction.
		return Verdict{Kind: Bisect, Code: a.Code}
	}
	if own(a.Code) && (a.Status == http.StatusBadRequest || a.Status == http.StatusUnprocessableEntity) {
		return Verdict{Kind: Bisect, Code: a.Code}
	}
	return judgeBare(a.Status)
}

// own reports whether a code can be the backend's: a few small words joined by underscores.
func own(code string) bool {
	for _, r := range code {
		if r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return code != "" && len(code) <= 64
}

// judgeBare judges a refusal without a code: the backend's 404 for a path it does not know, and whatever
// proxies, firewalls and wrong URLs answer. The backend's own 403 without a body hides a refusal of the
// credentials (recording report-no-body-ext-error).
func judgeBare(status int) Verdict {
	switch status {
	case http.StatusNotFound:
		return Verdict{Kind: Hold, Code: "not_found"}
	case http.StatusForbidden:
		return Verdict{Kind: Hold, Code: "forbidden"}
	}
	return Verdict{Kind: Hold, Code: unexpectedAnswer}
}
