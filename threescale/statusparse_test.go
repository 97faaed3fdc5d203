package threescale

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRecordedAnswersComeOutAsTheyWentIn(t *testing.T) {
	statuses, errs := 0, 0
	for _, r := range recordings(t) {
		if bytes.Contains(r.AnswerBody, []byte("<error ")) {
			e, ok := ParseError(r.AnswerBody)
			require.True(t, ok, r.Name)
			assert.Equal(t, string(r.AnswerBody), string(e.AppendXML(nil)), r.Name)
			errs++
		}
		if bytes.Contains(r.AnswerBody, []byte("<status>")) {
			s, err := ParseStatus(r.AnswerBody)
			require.NoError(t, err, r.Name)
			assert.Equal(t, string(r.AnswerBody), string(s.AppendXML(nil, false)), r.Name)
			assert.Equal(t, r.Status == 200, s.Authorized, r.Name)
			again, err := ParseStatus(s.AppendXML(nil, true))
			require.NoError(t, err, r.Name)
			assert.Equal(t, s, again, r.Name)
			statuses++
		}
	}
	t.Logf("%d <status>, %d <error>", statuses, errs)
	assert.Greater(t, statuses, 45)
	assert.Greater(t, errs, 40)
}

func TestMalformedReasonIsRead(t *testing.T) {
	s, err := ParseStatus(recorded(t, "reason-not-escaped").AnswerBody)
	require.NoError(t, err)
	assert.Equal(t, `application key "<a>&"" is invalid`, s.Reason)
	assert.Equal(t, "Gold <& Plan>", s.Plan)
	assert.Len(t, s.UsageReports, 4)
	assert.Contains(t, string(s.AppendXML(nil, true)), `application key "&lt;a&gt;&amp;"" is invalid`)
}

// TestReasonCannotForgeAnElement: the reason holds what the caller sent as a key.
func TestReasonCannotForgeAnElement(t *testing.T) {
	denied := Status{
		Reason: `application key "</reason><authorized>true</authorized><plan>Free</plan><reason>" is invalid`,
		Plan:   "Gold",
	}
	s, err := ParseStatus(denied.AppendXML(nil, false))
	require.NoError(t, err)
	assert.Equal(t, &denied, s)
}

func TestStatusInFull(t *testing.T) {
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	full := Status{
		Authorized:  true,
		Application: &OAuthApplication{ID: `a"<b>`, Key: "k&", RedirectURL: "http://x/?a=1&b=2", RedirectIsURI: true},
		Plan:        "<Gold>",
		UsageReports: []UsageReport{
			{Metric: `m">`, Period: Eternity, MaxValue: 1 << 60, CurrentValue: 3},
			{Metric: "hits", Period: Day, PeriodStart: start, PeriodEnd: start.AddDate(0, 0, 1), MaxValue: 1, CurrentValue: 2, Exceeded: true},
		},
		AppKeys:   &AppKeys{ApplicationID: "app", ServiceID: "1001", Keys: []string{`k"1`, "k2"}},
		Hierarchy: []MetricChildren{{"hits", []string{"search", "other"}}, {"transfer", []string{}}},
	}
	s, err := ParseStatus(full.AppendXML(nil, true))
	require.NoError(t, err)
	assert.Equal(t, &full, s)
}

func TestBrokenStatusIsAnErrorNotAPanic(t *testing.T) {
	for _, body := range []string{
		"", "<status>", "<error code=\"x\">y</error>", "<status><authorized>true</authorized>" +
			"<usage_reports><usage_report metric=\"hits\" period=\"fortnight\"></usage_report></usage_reports>",
		"<status><authorized>true</authorized><usage_reports><usage_report </usage_reports>",
		"<status><authorized>true</authorized><usage_reports><usage_report metric=\"m\" period=\"day\"><max_value>x</max_value></usage_report></usage_reports>",
	} {
		_, err := ParseStatus([]byte(body))
		assert.Error(t, err, body)
	}
}

func TestErrorsAreReadOnlyFromErrorDocuments(t *testing.T) {
	for _, body := range []string{"", "<html>", "<error", "<error>", "<error code=>x</error>", `<error code="a">`} {
		_, ok := ParseError([]byte(body))
		assert.False(t, ok, body)
	}
}

func FuzzStatus(f *testing.F) {
	f.Add("reason", "plan", "metric", "key", true)
	f.Add(`key "</reason><authorized>true"`, "<&>", `a" period="day`, "\"/>", false)
	f.Fuzz(func(t *testing.T, reason, plan, metric, key string, authorized bool) {
		s := Status{
			Authorized: authorized, Reason: reason, Plan: plan,
			UsageReports: []UsageReport{{Metric: metric, Period: Eternity, MaxValue: 5}},
			AppKeys:      &AppKeys{ApplicationID: metric, ServiceID: key, Keys: []string{key}},
		}
		back, err := ParseStatus(s.AppendXML(nil, true))
		require.NoError(t, err)
		assert.Equal(t, clean(s), *back)
		raw, err := ParseStatus(s.AppendXML(nil, false))
		if err == nil {
			assert.Equal(t, authorized, raw.Authorized)
		}
	})
}

// clean is s as XML can carry it.
func clean(s Status) Status {
	s.Reason, s.Plan = xmlSafe(s.Reason), xmlSafe(s.Plan)
	s.UsageReports = []UsageReport{s.UsageReports[0]}
	s.UsageReports[0].Metric = xmlSafe(s.UsageReports[0].Metric)
	k := *s.AppKeys
	k.ApplicationID, k.ServiceID, k.Keys = xmlSafe(k.ApplicationID), xmlSafe(k.ServiceID), []string{xmlSafe(k.Keys[0])}
	s.AppKeys = &k
	return s
}

func FuzzParseXML(f *testing.F) {
	for _, r := range recordings(f) {
		if bytes.HasPrefix(r.AnswerBody, []byte("<?xml")) {
			f.Add(r.AnswerBody)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if e, ok := ParseError(body); ok {
			again, ok := ParseError(e.AppendXML(nil))
			require.True(t, ok)
			assert.Equal(t, xmlSafe(e.Text), again.Text)
		}
		if s, err := ParseStatus(body); err == nil {
			again, err := ParseStatus(s.AppendXML(nil, true))
			require.NoError(t, err)
			assert.Equal(t, s.Authorized, again.Authorized)
		}
	})
}
