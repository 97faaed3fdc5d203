package authorize

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// call is one question of a client, in 3scale's form or in JSON.
type call struct {
	authrep bool
	oauth   bool // asked at an oauth_* endpoint

	door        door
	application threescale.Application
	appKey      optional // stripped
	referrer    string
	redirectURL optional
	redirectURI optional
	options     threescale.Options
	noBody      bool
	asks        bool           // there is a usage parameter
	asked       []quota.Amount // what it says
	code        int            // log[code]; 0: none

	id       string          // of the event that an authrep makes; empty: none
	patience context.Context // ends what the call waits for; nil: the caller's context does

	key digest
}

// service is what the call's service is named by.
func (c *call) service() quota.ServiceName {
	return quota.ServiceName{ID: c.door.serviceID, Credentials: c.door.credentials}
}

// name is what the call's application is named by.
func (c *call) name() quota.Name {
	return quota.Name{Service: c.service(), Application: c.application}
}

// maxQuery is how long a query string may be, in bytes. The backend's own cap is 10 KiB; what is asked
// there is written anew, and shorter: each byte may have been three when it was escaped.
const maxQuery = 3 * threescale.MaxQuery

// read reads one of the GET calls, with the backend's checks up to where its data is needed, and in its
// order (backend.md, section 5). The error is a *threescale.Error; c.noBody is right even then.
func (a *Authorizer) read(c *call, r *http.Request) error {
	if header := r.Header[optionsHeader]; len(header) > 0 {
		c.options = threescale.ParseOptions(header[0])
	}
	c.noBody = c.options.NoBody
	if credentials, id, ok := c.readFastPath(r.URL.RawQuery); ok {
		var err error
		if c.door, err = a.configured.Load().open(id, credentials, a.options.Passthrough); err != nil {
			return err
		}
		return c.checkNames()
	}
	if err := a.readAll(c, r); err != nil {
		return err
	}
	return c.checkNames()
}

// checkNames refuses names that no application of 3scale can have, with the words that the backend has for names
// that it does not know. Nothing of them is remembered.
func (c *call) checkNames() error {
	switch {
	case threescale.TooLong(c.application.ID):
		return threescale.ApplicationNotFound(c.application.ID)
	case threescale.TooLong(c.application.UserKey):
		return threescale.UserKeyInvalid(c.application.UserKey)
	case threescale.TooLong(c.appKey.text):
		return &threescale.Error{
			Status: http.StatusForbidden, Code: threescale.CodeApplicationKeyInvalid,
			Text: `application key "` + threescale.Shortened(c.appKey.text) + `" is invalid`,
		}
	case threescale.TooLongReferrer(c.referrer):
		return &threescale.Error{
			Status: http.StatusForbidden, Code: threescale.CodeReferrerNotAllowed,
			Text: `referrer "` + threescale.Shortened(c.referrer) + `" is not allowed`,
		}
	}
	return nil
}

// optionsHeader is threescale.OptionsHeader as net/http spells it.
var optionsHeader = http.CanonicalHeaderKey(threescale.OptionsHeader)

// readAll reads a call that quick leaves alone.
func (a *Authorizer) readAll(c *call, r *http.Request) error {
	params, err := threescale.ReadParams(r, threescale.ReadOptions{MaxQuery: maxQuery, Lenient: true})
	if err != nil {
		var refused *threescale.Error
		if !errors.As(err, &refused) || refused.HTML || refused.Empty {
			return threescale.SyntaxErrors()
		}
		return refused
	}
	c.noBody = c.noBody || threescale.ParseNoBody(params.Get("no_body"))
	if !params.ValidUTF8() {
		return threescale.NotValidData()
	}
	credentials, id, err := threescale.ReadCredentials(params, false)
	if err != nil {
		return err
	}
	if c.door, err = a.configured.Load().open(id, credentials, a.options.Passthrough); err != nil {
		return err
	}
	if params.Get("user_id").Kind() != threescale.Absent {
		return threescale.EndUsersNoLongerSupported()
	}
	if err := c.readUsage(params.Get("usage")); err != nil {
		return err
	}
	c.application = threescale.Application{ID: filled(params.Get("app_id")), UserKey: filled(params.Get("user_key"))}
	c.appKey = text(params.Get("app_key"))
	c.appKey.text = strings.Trim(c.appKey.text, rubySpace)
	c.referrer = params.Get("referrer").Text()
	if c.oauth {
		c.redirectURL, c.redirectURI = text(params.Get("redirect_url")), text(params.Get("redirect_uri"))
	}
	c.code = responseCode(params.Get("log").Get("code").Text())
	return nil
}

func (c *call) readUsage(usage threescale.Value) error {
	switch usage.Kind() {
	case threescale.Absent, threescale.Nil:
		return nil
	case threescale.Hash:
	default:
		return threescale.UsageNotHash()
	}
	c.asks = true
	c.asked = readUsage(c.asked[:0], usage)
	if c.authrep {
		c.refuseUnreportable(usage)
	}
	return nil
}

// refuseUnreportable marks what no report can carry without harm: sets, and values the backend's
// counters would overflow with (recordings report-set-5, report-overflow-among-good).
func (c *call) refuseUnreportable(usage threescale.Value) {
	for i := range c.asked {
		if x := &c.asked[i]; x.Fault == nil && (x.Set || x.Value > threescale.MaxValue) {
			x.Fault = threescale.UsageValueInvalid(x.Name, usage.Get(x.Name).Text())
		}
	}
}

// filled is the text of a parameter, "" where white space alone stands (backend.md, section 3).
func filled(v threescale.Value) string {
	if strings.Trim(v.Text(), rubySpace) == "" {
		return ""
	}
	return v.Text()
}

// text is a parameter that may be absent; a hash or an array is.
func text(v threescale.Value) optional {
	return optional{v.Kind() == threescale.String, v.Text()}
}

// responseCode is what the backend takes for one: three digits, 100 at least (recording
// report-log-code-bad).
func responseCode(s string) int {
	if len(s) != 3 || s[0] < '1' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] < '0' || s[2] > '9' {
		return 0
	}
	return int(s[0]-'0')*100 + int(s[1]-'0')*10 + int(s[2]-'0')
}

// reset makes c ready for another call.
func (c *call) reset() {
	clear(c.asked)
	*c = call{asked: c.asked[:0]}
}

// question is what the backend is asked about a call: everything it looks at, one of each metric whose
// existence or place has to be learnt, and all it can tell beside.
func (c *call) question(metrics []string) *threescale.AuthorizeCall {
	q := &threescale.AuthorizeCall{
		ServiceID: c.door.serviceID, Credentials: c.door.credentials, Application: c.application,
		AppKey: c.appKey.pointer(), Referrer: c.referrer,
		RedirectURL: c.redirectURL.pointer(), RedirectURI: c.redirectURI.pointer(),
		Options: threescale.Options{
			RejectionReasonHeader: true, LimitHeaders: true, Hierarchy: true, ListAppKeys: c.options.ListAppKeys,
		},
	}
	for _, m := range metrics {
		q.Usage = append(q.Usage, threescale.Increment{Metric: m, Value: 1})
	}
	return q
}
