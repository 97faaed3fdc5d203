package sandbox

import (
	"slices"
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// decision is one of the GET calls on its way to an answer.
type decision struct {
	params      threescale.Value
	options     threescale.Options
	oauth       bool // asked at an oauth_* endpoint
	authrep     bool
	at          time.Time // by the sandbox's clock
	now         time.Time // by the backend's
	late        time.Duration
	view        *view // of the process that decides
	service     *service
	application *application
	counters    *counters // of the application; nil when nothing was counted
	denial      *denial   // nil: authorized

	asked   []amount // as written
	weighed []amount // with what it adds to ancestors, unless flat_usage
}

// denial is why an application may not make a call: answered with status 409.
type denial struct{ code, reason string }

// usage returns the usage parameter and whether there is one.
func (d *decision) usage() (threescale.Value, bool) {
	v := d.params.Get("usage")
	return v, v.Kind() == threescale.Hash
}

// validate runs the validators in the backend's order; the first that fails decides. An error is no
// denial: usage that names no metric or has no value.
func (d *decision) validate() error {
	validators := []func(*decision) *denial{validateKey, validateReferrer, validateState}
	if d.oauth {
		validators = slices.Insert(validators, 0, validateOAuthSetting)
		validators = slices.Insert(validators, 2, validateRedirect)
	}
	for _, valid := range validators {
		if d.denial = valid(d); d.denial != nil {
			return nil
		}
	}
	return d.validateLimits()
}

func validateOAuthSetting(d *decision) *denial {
	if d.service.version != versionOAuth {
		return &denial{threescale.CodeOAuthNotEnabled, "oauth is not enabled"}
	}
	return nil
}

// validateKey applies the rule for application keys, or the one for OAuth where an absent key passes.
func validateKey(d *decision) *denial {
	value := d.params.Get("app_key")
	key := strings.TrimSpace(value.Text())
	if d.oauth || d.service.version == versionOAuth {
		if value.Kind() != threescale.String || slices.Contains(d.application.keys, key) {
			return nil
		}
	} else if d.service.version == versionUserKey || len(d.application.keys) == 0 || slices.Contains(d.application.keys, key) {
		return nil
	}
	if key == "" {
		return &denial{threescale.CodeApplicationKeyInvalid, "application key is missing"}
	}
	return &denial{threescale.CodeApplicationKeyInvalid, `application key "` + key + `" is invalid`}
}

// redirect returns which of the two parameters counts: redirect_url where it is present.
func (d *decision) redirect() (name, value string) {
	if v := d.params.Get("redirect_url"); v.Kind() == threescale.String {
		return "redirect_url", v.Text()
	}
	if v := d.params.Get("redirect_uri"); v.Kind() == threescale.String {
		return "redirect_uri", v.Text()
	}
	return "redirect_url", ""
}

func validateRedirect(d *decision) *denial {
	name, value := d.redirect()
	if value == "" || value == d.application.redirectURL {
		return nil
	}
	return &denial{name + "_invalid", name + ` "` + value + `" is invalid`}
}

func validateReferrer(d *decision) *denial {
	referrer := d.params.Get("referrer").Text()
	if !d.service.filtered || len(d.application.filters) == 0 || referrer == "*" {
		return nil
	}
	if referrer == "" {
		return &denial{threescale.CodeReferrerNotAllowed, "referrer is missing"}
	}
	for _, filter := range d.application.filters {
		if matches(filter, referrer) {
			return nil
		}
	}
	return &denial{threescale.CodeReferrerNotAllowed, `referrer "` + referrer + `" is not allowed`}
}

func validateState(d *decision) *denial {
	if d.application.suspended {
		return &denial{threescale.CodeApplicationNotActive, "application is not active"}
	}
	if d.service.suspended {
		return &denial{threescale.CodeServiceNotActive, "service is not active"}
	}
	return nil
}

// readUsage resolves the usage parameter into what the call asks for.
func (d *decision) readUsage() error {
	usage, given := d.usage()
	if !given {
		return nil
	}
	asked, err := d.service.metrics.readUsage(usage, false)
	if err != nil {
		return err
	}
	d.asked, d.weighed = asked, asked
	if !d.options.FlatUsage {
		d.weighed = d.service.metrics.spread(asked)
	}
	return nil
}

// checkMetrics looks at the names of metrics alone. The backend does so before the validators when
// no_body is asked for (recording auth-wrong-key-and-metric-no-body).
func (d *decision) checkMetrics() error {
	usage, _ := d.usage()
	for i := range usage.Len() {
		name, _ := usage.Entry(i)
		name = strings.TrimSpace(name)
		if _, known := d.service.metrics.byName[name]; !known {
			return threescale.MetricInvalid(name)
		}
	}
	return nil
}

// validateLimits checks stored values plus what is asked for; without usage, every limit as it stands.
func (d *decision) validateLimits() error {
	if err := d.readUsage(); err != nil {
		return err
	}
	_, given := d.usage()
	for _, l := range d.limits() {
		value := d.counters.value(l.metric, l.period, d.now)
		if given {
			a, named := find(d.weighed, l.metric)
			if !named {
				continue
			}
			value = a.onto(value)
		}
		if value > l.maximum {
			d.denial = &denial{threescale.CodeLimitsExceeded, "usage limits are exceeded"}
			return nil
		}
	}
	return nil
}

// limits are those of the application's plan on metrics that the process knows.
func (d *decision) limits() []limit {
	gone := func(l limit) bool { return !d.service.metrics.has(l.metric) }
	if all := d.application.plan.limits; !slices.ContainsFunc(all, gone) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(d.application.plan.limits), gone)
}
