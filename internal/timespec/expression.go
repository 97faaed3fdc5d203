package timespec

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/internal/suggest"
)

// errNoEnd is the error of a text with { and no } behind it.
var errNoEnd = errors.New("expected } at the end of {date…")

// expression is the value of a date expression while its methods are applied.
type expression struct {
	at      time.Time
	sunday  bool    // weeks begin on Sunday
	pattern pattern // of the text that it becomes
}

var (
	methodPattern   = regexp.MustCompile(`^\.\s*([A-Za-z]+)\s*(?:\(([^()]*)\))?\s*`)
	argumentPattern = regexp.MustCompile(`^\s*(?:"([^"]*)"|'([^']*)'|(-?\d+))\s*$`)
)

// methods are what may follow date. Those with a number add it, those without one move to an edge of the calendar.
var methods = []string{
	"add", "addDays", "addHours", "addMinutes", "addMonths", "addQuarters", "addWeeks", "addYears",
	"endOfDay", "endOfMonth", "endOfQuarter", "endOfWeek", "endOfYear", "firstDOW", "format",
	"startOfDay", "startOfMonth", "startOfQuarter", "startOfWeek", "startOfYear", "today", "tomorrow", "tz", "yesterday",
}

// Expand replaces every date expression in a text by what it means now: {date.add(-30).format()} becomes the day thirty days ago,
// as 2026-02-28. The zone determines where days begin. A text without one stays as it is; an error names the expression and what
// was expected.
func Expand(text string, now time.Time, zone *time.Location) (string, error) {
	var out strings.Builder
	for {
		begin := strings.Index(text, "{date")
		if begin < 0 {
			out.WriteString(text)
			return out.String(), nil
		}
		length := strings.IndexByte(text[begin:], '}')
		if length < 0 {
			return "", fmt.Errorf("timespec: %q: %w", text[begin:], errNoEnd)
		}
		e, err := evaluate(text[begin:begin+length+1], now, zone)
		if err != nil {
			return "", err
		}
		out.WriteString(text[:begin])
		out.WriteString(e.pattern.format(e.at))
		text = text[begin+length+1:]
	}
}

// isExpression reports whether a whole text is one date expression.
func isExpression(text string) bool {
	return strings.HasPrefix(text, "{date") && strings.IndexByte(text, '}') == len(text)-1
}

// evaluate applies the methods of an expression to now, from left to right.
func evaluate(text string, now time.Time, zone *time.Location) (expression, error) {
	e := expression{at: now.In(zone), pattern: dayPattern}
	wrong := func(reason string) error { return fmt.Errorf("timespec: %q: %s", text, reason) }
	rest := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, "{date"), "}"))
	formatted := false
	for rest != "" {
		m := methodPattern.FindStringSubmatch(rest)
		if m == nil {
			return e, wrong("expected methods such as .add(-30) or .startOfMonth, and .format() at the end")
		}
		if formatted {
			return e, wrong("expected nothing behind format")
		}
		formatted = m[1] == "format"
		if reason := e.apply(m[1], m[2]); reason != "" {
			return e, wrong(reason)
		}
		rest = rest[len(m[0]):]
	}
	return e, nil
}

// apply applies one method. The reason is empty if it could.
func (e *expression) apply(method, argument string) (reason string) {
	text, number, given := "", 0, strings.TrimSpace(argument) != ""
	if given {
		m := argumentPattern.FindStringSubmatch(argument)
		if m == nil {
			return method + ": expected a number, or a text in quotes"
		}
		text = m[1] + m[2]
		if m[3] != "" {
			var err error
			if number, err = strconv.Atoi(m[3]); err != nil || number > mostSteps || number < -mostSteps {
				return fmt.Sprintf("%s: expected a number from %d to %d", method, -mostSteps, mostSteps)
			}
		}
	}
	if strings.HasPrefix(method, "add") {
		if !given || text != "" {
			return method + ": expected a number, such as " + method + "(-1)"
		}
		return e.add(method, number)
	}
	switch method {
	case "format":
		return e.setPattern(text)
	case "tz":
		zone, err := time.LoadLocation(text)
		if err != nil || text == "" || text == "Local" {
			return fmt.Sprintf("tz: %q: expected a time zone, such as Europe/Madrid", text)
		}
		e.at = e.at.In(zone)
		return ""
	case "firstDOW":
		if text != "sun" && text != "mon" {
			return `firstDOW: expected "sun" or "mon"`
		}
		e.sunday = text == "sun"
		return ""
	}
	if given {
		return method + ": expected nothing in the parentheses"
	}
	return e.move(method)
}

// mostSteps bounds the number of an add method: a million hours are 114 years.
const mostSteps = 1_000_000

// add moves by a number of units: days, weeks, months and years by the calendar of the zone, where a month that is too short gives
// its last day; hours and minutes by the clock.
func (e *expression) add(method string, n int) (reason string) {
	switch method {
	case "add", "addDays":
		e.at = addDays(e.at, n)
	case "addWeeks":
		e.at = addDays(e.at, 7*n)
	case "addMonths":
		e.at = addMonths(e.at, n)
	case "addQuarters":
		e.at = addMonths(e.at, 3*n)
	case "addYears":
		e.at = addMonths(e.at, 12*n)
	case "addHours":
		e.at = e.at.Add(time.Duration(n) * time.Hour)
	case "addMinutes":
		e.at = e.at.Add(time.Duration(n) * time.Minute)
	default:
		return unknownMethod(method)
	}
	if year := e.at.Year(); year < 1 || year > 9999 {
		return fmt.Sprintf("%s: the result is in the year %d", method, year)
	}
	return ""
}

// move moves to the beginning or to the last second of a unit of the calendar.
func (e *expression) move(method string) (reason string) {
	switch method {
	case "today":
		e.at = begin(e.at, 'd')
		return ""
	case "yesterday":
		e.at = begin(addDays(e.at, -1), 'd')
		return ""
	case "tomorrow":
		e.at = begin(addDays(e.at, 1), 'd')
		return ""
	}
	name, start := strings.CutPrefix(method, "startOf")
	if !start {
		var end bool
		if name, end = strings.CutPrefix(method, "endOf"); !end {
			return unknownMethod(method)
		}
	}
	unit, known := map[string]byte{"Day": 'd', "Week": 'w', "Month": 'M', "Quarter": 'Q', "Year": 'y'}[name]
	if !known {
		return unknownMethod(method)
	}
	if unit == 'w' && e.sunday {
		unit = 's'
	}
	e.at = begin(e.at, unit)
	if !start {
		e.at = next(e.at, unit).Add(-time.Second)
	}
	return ""
}

func unknownMethod(name string) string {
	return fmt.Sprintf("%s: no such method: expected one of %s%s", name, strings.Join(methods, ", "), suggest.Hint(name, methods))
}

// next returns the beginning of the unit after the one that begins at t.
func next(t time.Time, unit byte) time.Time {
	switch unit {
	case 'd':
		return begin(addDays(t, 1), unit)
	case 'w', 's':
		return begin(addDays(t, 7), unit)
	case 'Q':
		return begin(addMonths(t, 3), unit)
	case 'y':
		return begin(addMonths(t, 12), unit)
	}
	return begin(addMonths(t, 1), unit)
}

// addDays moves by calendar days: noon stays noon when the clock was changed in between.
func addDays(t time.Time, n int) time.Time { return t.AddDate(0, 0, n) }

// addMonths moves by calendar months. In a month that is too short the result is its last day: 31 January and a month are 28
// February.
func addMonths(t time.Time, n int) time.Time {
	year, month, dayOfMonth := t.Date()
	last := time.Date(year, month+time.Month(n)+1, 0, 12, 0, 0, 0, time.UTC).Day()
	return time.Date(year, month+time.Month(n), min(dayOfMonth, last), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location())
}
