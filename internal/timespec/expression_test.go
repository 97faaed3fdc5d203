package timespec

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// expressions are texts, when and where they are read, and the moments that they mean.
var expressions = []struct{ about, zone, now, text, want string }{
	{"thirty days ago", "UTC", "2026-03-30T10:20:30Z", "{date.add(-30).format()}", "2026-02-28T00:00:00Z"},
	{"no parentheses, no format", "UTC", "2026-03-30T10:20:30Z", "{date.startOfMonth}", "2026-03-01T00:00:00Z"},
	{"parentheses", "UTC", "2026-03-30T10:20:30Z", "{date.startOfMonth().format()}", "2026-03-01T00:00:00Z"},
	{"today", "UTC", "2026-03-30T10:20:30Z", "{date}", "2026-03-30T00:00:00Z"},
	{"a pattern with seconds", "UTC", "2026-03-30T10:20:30Z", `{date.endOfMonth.format("yyyy-MM-dd HH:mm:ss")}`, "2026-03-31T23:59:59Z"},
	{"a pattern with hours", "UTC", "2026-03-30T10:20:30Z", `{date.addHours(-2).format('yyyy-MM-dd HH')}`, "2026-03-30T08:00:00Z"},
	{"a pattern with minutes", "UTC", "2026-03-30T10:20:30Z", `{date.addMinutes(-5).format("yyyy-MM-dd'T'HH:mm")}`, "2026-03-30T10:15:00Z"},
	{"a pattern of a month", "UTC", "2026-03-30T10:20:30Z", `{date.format("yyyy-MM")}`, "2026-03-01T00:00:00Z"},
	{"a pattern of a year", "UTC", "2026-03-30T10:20:30Z", `{date.format("yyyy")}`, "2026-01-01T00:00:00Z"},
	{"a zone of its own", "UTC", "2026-03-30T23:20:30Z", `{date.tz("Europe/Madrid").startOfDay.format()}`, "2026-03-31T00:00:00+02:00"},

	{"a month's end", "UTC", "2026-03-31T10:00:00Z", "{date.addMonths(-1).format()}", "2026-02-28T00:00:00Z"},
	{"a month's end of a leap year", "UTC", "2028-03-31T10:00:00Z", "{date.addMonths(-1).format()}", "2028-02-29T00:00:00Z"},
	{"the month before, whole", "UTC", "2026-03-31T10:00:00Z", "{date.addMonths(-1).startOfMonth.format()}", "2026-02-01T00:00:00Z"},
	{"its end", "UTC", "2026-03-31T10:00:00Z", `{date.addMonths(-1).endOfMonth.format("yyyy-MM-dd HH:mm:ss")}`, "2026-02-28T23:59:59Z"},
	{"a leap day and a year", "UTC", "2028-02-29T10:00:00Z", "{date.addYears(-1).format()}", "2027-02-28T00:00:00Z"},
	{"quarters", "UTC", "2026-05-31T10:00:00Z", "{date.addQuarters(-1).startOfQuarter.format()}", "2026-01-01T00:00:00Z"},
	{"a quarter's end", "UTC", "2026-05-31T10:00:00Z", "{date.endOfQuarter.format()}", "2026-06-30T00:00:00Z"},

	{"a year's end", "UTC", "2026-12-31T23:59:59Z", "{date.add(1).format()}", "2027-01-01T00:00:00Z"},
	{"a year's end, of another zone", "Europe/Madrid", "2026-12-31T23:30:00Z", "{date.startOfYear.format()}", "2027-01-01T00:00:00+01:00"},
	{"the year before", "UTC", "2027-01-01T00:00:00Z", "{date.addYears(-1).startOfYear.format()}", "2026-01-01T00:00:00Z"},
	{"December", "UTC", "2027-01-31T00:00:00Z", "{date.addMonths(-1).endOfMonth.format()}", "2026-12-31T00:00:00Z"},
	{"a week over a year's end", "UTC", "2027-01-01T12:00:00Z", "{date.startOfWeek.format()}", "2026-12-28T00:00:00Z"},
	{"a week that begins on Sunday", "UTC", "2027-01-01T12:00:00Z", `{date.firstDOW("sun").startOfWeek.format()}`, "2026-12-27T00:00:00Z"},
	{"a week's end", "UTC", "2027-01-01T12:00:00Z", "{date.endOfWeek.format()}", "2027-01-03T00:00:00Z"},

	{"summer time begins: the day before", "Europe/Madrid", "2026-03-30T10:20:30+02:00", "{date.add(-1).format()}", "2026-03-29T00:00:00+01:00"},
	{"summer time begins: that day's end", "Europe/Madrid", "2026-03-29T10:00:00+02:00", `{date.endOfDay.format("yyyy-MM-dd HH:mm:ss")}`, "2026-03-29T23:59:59+02:00"},
	{"summer time begins: a clock time that there is not", "Europe/Madrid", "2026-03-30T02:30:00+02:00", `{date.add(-1).format("yyyy-MM-dd HH:mm:ss")}`, "2026-03-29T03:30:00+02:00"},
	{"summer time begins: a day of 23 hours", "Europe/Madrid", "2026-03-30T10:00:00+02:00", `{date.addHours(-24).format("yyyy-MM-dd HH:mm")}`, "2026-03-29T10:00:00+02:00"},
	{"summer time ends: the day before", "Europe/Madrid", "2026-10-26T10:00:00+01:00", "{date.add(-1).format()}", "2026-10-25T00:00:00+02:00"},
	{"summer time ends: that day's end", "Europe/Madrid", "2026-10-25T10:00:00+01:00", `{date.endOfDay.format("yyyy-MM-dd HH:mm:ss")}`, "2026-10-25T23:59:59+01:00"},
	{"summer time ends: the second two o'clock", "Europe/Madrid", "2026-10-25T02:30:00+01:00", `{date.format("yyyy-MM-dd HH")}`, "2026-10-25T02:00:00+01:00"},
	{"summer time ends: the first one", "Europe/Madrid", "2026-10-25T02:30:00+02:00", `{date.format("yyyy-MM-dd HH")}`, "2026-10-25T02:00:00+02:00"},
	{"the month in which it ends", "Europe/Madrid", "2026-11-01T10:00:00+01:00", "{date.addMonths(-1).startOfMonth.format()}", "2026-10-01T00:00:00+02:00"},

	{"Grafana's month before", "Europe/Madrid", "2026-03-31T10:00:00+02:00", "now-1M/M", "2026-02-01T00:00:00+01:00"},
	{"a calendar month ago", "UTC", "2026-03-31T10:00:00Z", "now-1M", "2026-02-28T10:00:00Z"},
	{"Grafana's quarter", "UTC", "2026-05-31T10:00:00Z", "now/Q", "2026-04-01T00:00:00Z"},
	{"Grafana's year", "UTC", "2026-05-31T10:00:00Z", "now/y", "2026-01-01T00:00:00Z"},
	{"week", "UTC", "2027-01-01T12:00:00Z", "week", "2026-12-28T00:00:00Z"},
	{"quarter", "UTC", "2026-05-31T10:00:00Z", "quarter", "2026-04-01T00:00:00Z"},
	{"year", "Europe/Madrid", "2026-12-31T23:30:00Z", "year", "2027-01-01T00:00:00+01:00"},
}

func TestExpressions(t *testing.T) {
	for _, e := range expressions {
		now, err := time.Parse(time.RFC3339, e.now)
		require.NoError(t, err, e.about)
		got, err := At(e.text, now, zone(t, e.zone))
		require.NoError(t, err, e.about)
		assert.Equal(t, e.want, got.Format(time.RFC3339), "%s: %s", e.about, e.text)
	}
}

// TestExpand: the text of a query, as the document has it.
func TestExpand(t *testing.T) {
	now := time.Date(2026, 3, 31, 10, 20, 30, 0, time.UTC)
	for text, want := range map[string]string{
		"metric_name=hits&since={date.add(-30).format()}&period=month&granularity=day": "metric_name=hits&since=2026-03-01&period=month&granularity=day",
		"since={date.startOfMonth}&until={date.endOfMonth}":                            "since=2026-03-01&until=2026-03-31",
		`{date.format("MMMM d, yyyy")}`:                                                "March 31, 2026",
		`{date.format("dd-MM-yyyy")}`:                                                  "31-03-2026",
		`{date.format("yyyy-MM-dd'T'HH:mm:ssXXX")}`:                                    "2026-03-31T10:20:30Z",
		"no expression {here}":                                                         "no expression {here}",
		"":                                                                             "",
	} {
		got, err := Expand(text, now, time.UTC)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
}

// TestBadExpressions: an error says what was expected.
func TestBadExpressions(t *testing.T) {
	for text, want := range map[string]string{
		"{date.add(-30)":                   errNoEnd.Error(),
		"{date.addd(1)}":                   "did you mean add?",
		"{date.startOfMoth}":               "did you mean startOfMonth?",
		"{date.add()}":                     "expected a number",
		"{date.add(x)}":                    "expected a number, or a text in quotes",
		"{date.add(99999999999999999999)}": "expected a number from",
		"{date.addYears(999999)}":          "the year",
		"{date.format().add(1)}":           "nothing behind format",
		"{date.startOfMonth(3)}":           "nothing in the parentheses",
		`{date.format("QQQ")}`:             "expected letters such as",
		`{date.format("yyyy'x")}`:          "' at the end",
		`{date.tz("Nowhere")}`:             "a time zone",
		`{date.firstDOW("fri")}`:           `"sun" or "mon"`,
		"{datex}":                          "expected methods",
	} {
		_, err := Expand(text, time.Now(), time.UTC)
		assert.ErrorContains(t, err, want, text)
		_, err = At(text, time.Now(), time.UTC)
		assert.Error(t, err, text)
	}
	assert.True(t, IsRelative("{date.add(-1)}"))
}
