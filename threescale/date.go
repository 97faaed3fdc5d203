package threescale

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// date is what a free-form date names. Year, month and day are 0 until named; a year can be negative.
type date struct {
	year, month, day     int
	hour, minute, second int
	hasYear, hasHour     bool
	century              bool // the year has two digits and wants completing
	offset               int64
}

// unix returns the moment, if the parts lie where Ruby's Time.utc wants them: a day up to 31 rolls over
// into the next month, 24:00:00 into the next day.
func (d date) unix() (int64, bool) {
	switch {
	case d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31:
		return 0, false
	case d.hour > 24 || d.minute > 59 || d.second > 60:
		return 0, false
	case d.hour == 24 && (d.minute > 0 || d.second > 0):
		return 0, false
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, time.UTC)
	return t.Unix() - d.offset, true
}

// maxDate is the longest text Ruby's date parser looks at, in bytes.
const maxDate = 128

// parseDate reads a date as Ruby's Date._parse does: it takes the weekday and the time out of the text
// first, then tries one notation after the other on what is left. The first that fits decides, also
// when it does not yield a whole date.
func parseDate(s string) (int64, bool) {
	if len(s) > maxDate {
		return 0, false
	}
	text := dateNoise.ReplaceAllString(s, " ")
	var d date
	text = cutMatch(weekday, text, func([]string) {})
	text = cutMatch(clock, text, d.readClock)
	for _, n := range notations {
		if m := n.shape.FindStringSubmatch(text); m != nil {
			n.read(&d, m)
			text = cutMatch(n.shape, text, func([]string) {})
			break
		}
	}
	d.readBare(text)
	if !d.hasYear || d.month == 0 || d.day == 0 {
		return 0, false
	}
	d.completeYear(beforeChrist.MatchString(text))
	return d.unix()
}

// cutMatch replaces the first match by a blank, after showing it to read.
func cutMatch(shape *regexp.Regexp, text string, read func(m []string)) string {
	at := shape.FindStringSubmatchIndex(text)
	if at == nil {
		return text
	}
	read(shape.FindStringSubmatch(text))
	return text[:at[0]] + " " + text[at[1]:]
}

func (d *date) completeYear(bc bool) {
	switch {
	case bc:
		d.year = 1 - d.year
	case d.century && d.year >= 0 && d.year < 69:
		d.year += 2000
	case d.century && d.year >= 69 && d.year < 100:
		d.year += 1900
	}
}

// readBare takes a lone number that is left over as the day or the hour: the one that is missing.
func (d *date) readBare(text string) {
	text = strings.TrimSpace(text)
	if len(text) == 0 || len(text) > 2 {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return
	}
	switch {
	case d.hasHour && d.day == 0 && n >= 1 && n <= 31:
		d.day = n
	case d.day != 0 && !d.hasHour && n <= 24:
		d.hour, d.hasHour = n, true
	}
}

// readClock takes a time of day and the zone behind it.
func (d *date) readClock(m []string) {
	parts := clockParts.FindStringSubmatch(m[1])
	if parts == nil {
		return
	}
	d.hasHour = true
	d.hour, d.minute, d.second = number(parts[1]), number(parts[2]), number(parts[3])
	if parts[4] != "" {
		d.hour %= 12
		if parts[4] == "p" || parts[4] == "P" {
			d.hour += 12
		}
	}
	d.offset = zoneOffset(m[2])
}

// number reads digits; what does not fit becomes too large for every check.
func number(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 1 << 30
	}
	return min(n, 1<<30)
}

// setParts files the three numbers of a notation by what they look like: a number of more than two
// digits, or with an apostrophe, is the year, wherever it stands.
func (d *date) setParts(year, month, day string) {
	if year != "" && month != "" && day == "" {
		year, month, day = "", year, month
	}
	if year == "" && (len(day) > 2 || strings.HasPrefix(day, "'")) {
		year, day = day, ""
	}
	if n := leadingNumber.FindString(year); n != "" && !strings.HasSuffix(year, n) {
		year, day = day, n
	}
	if strings.HasPrefix(month, "'") || len(month) > 2 {
		year, month, day = month, day, year
	}
	if strings.HasPrefix(day, "'") || len(day) > 2 {
		year, day = day, year
	}
	if n := leadingNumber.FindString(year); n != "" {
		d.setYear(n)
	}
	d.month, d.day = number(digits.FindString(month)), number(digits.FindString(day))
}

func (d *date) setYear(s string) {
	plain := strings.TrimLeft(s, "+-")
	d.hasYear = true
	d.century = len(plain) <= 2 && plain == s
	d.year = number(plain)
	if strings.HasPrefix(s, "-") {
		d.year = -d.year
	}
}

var (
	digits        = regexp.MustCompile(`\d+`)
	leadingNumber = regexp.MustCompile(`[-+]?\d+`)
)
