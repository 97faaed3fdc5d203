package sandbox

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// batch is a job while the worker checks it: first the applications of all transactions, in the order
// of the body; then, application by application in order of first appearance, the usages; then the
// timestamps (recording report-error-precedence).
type batch struct {
	job     *job
	flat    bool
	metrics *hierarchy
	at      time.Time // when the worker has it, by the sandbox's clock
	now     time.Time // by the worker's
	entries []entry   // grouped by application, which is also the order of counting
	crashed int       // transactions left out because they would crash the worker
}

// entry is one transaction that counts something.
type entry struct {
	application *application
	raw         *threescale.RawTransaction
	usage       []amount
	codes       []string
	moment      *moment
}

// check returns the error that discards the batch, or nil with everything ready to count.
func (b *batch) check(v *view) error {
	if err := b.findApplications(v); err != nil {
		return err
	}
	for i := range b.entries {
		if err := b.readUsage(&b.entries[i]); err != nil {
			return err
		}
	}
	return b.readTimestamps()
}

// findApplications looks every application up, then groups the transactions by it. Those without usage
// are left out: only their application is checked (recording report-no-usage-unknown-app-with-good).
func (b *batch) findApplications(v *view) error {
	order := make(map[string]int)
	var groups [][]entry
	for i := range b.job.transactions {
		t := &b.job.transactions[i]
		if nested(t.raw.AppID) || nested(t.raw.UserKey) {
			b.crashed++ // recording report-appid-nested
			continue
		}
		a, err := b.application(v, t)
		if err != nil {
			return err
		}
		if t.raw.Usage.Len() == 0 {
			continue
		}
		group, known := order[a.id]
		if !known {
			group = len(groups)
			order[a.id] = group
			groups = append(groups, nil)
		}
		groups[group] = append(groups[group], entry{application: a, raw: &t.raw})
	}
	for _, group := range groups {
		b.entries = append(b.entries, group...)
	}
	return nil
}

func nested(v threescale.Value) bool {
	return v.Kind() == threescale.Hash || v.Kind() == threescale.Array
}

// application finds one by id or user key, in services of every version. Both together are refused even
// when one is empty.
func (b *batch) application(v *view, t *pending) (*application, error) {
	if t.application != "" {
		return v.byID(b.job.service, t.application, b.at)
	}
	byID, byKey := t.raw.AppID.Kind() == threescale.String, t.raw.UserKey.Kind() == threescale.String
	switch {
	case byID && byKey:
		return nil, threescale.AuthenticationError()
	case byID:
		return v.byID(b.job.service, t.raw.AppID.Text(), b.at)
	case !byKey:
		return nil, threescale.ApplicationIDMissing()
	}
	key := t.raw.UserKey.Text()
	if a := v.applicationByUserKey(b.job.service.id, key, b.at); a != nil {
		return a, nil
	}
	return nil, threescale.UserKeyInvalid(key)
}

func (b *batch) readUsage(e *entry) error {
	usage, err := b.metrics.readUsage(e.raw.Usage, true)
	if err != nil {
		return err
	}
	e.usage = usage
	if !b.flat {
		e.usage = b.metrics.spread(usage)
	}
	e.codes = codesOf(e.raw.Code)
	return nil
}

// readTimestamps checks the window, inclusive and in whole seconds. Transactions of one second share
// what is computed from it.
func (b *batch) readTimestamps() error {
	now := b.now.Unix()
	moments := make(map[int64]*moment)
	for i := range b.entries {
		at := now
		if text := b.entries[i].raw.Timestamp; text.Kind() == threescale.String {
			if unix, ok := threescale.ParseTimestamp(text.Text()); ok {
				at = unix
			}
		}
		switch {
		case now-at > int64(threescale.MaxPast/time.Second):
			return threescale.TimestampTooOld()
		case at-now > int64(threescale.MaxFuture/time.Second):
			return threescale.TimestampTooNew()
		}
		if moments[at] == nil {
			moments[at] = momentAt(time.Unix(at, 0).UTC())
		}
		b.entries[i].moment = moments[at]
	}
	return nil
}
