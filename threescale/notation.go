package threescale

import (
	"regexp"
	"strings"
)

const (
	monthNames = `(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)`
	eraNames   = `(?:c(?:e|\.e\.)|b(?:ce|\.c\.e\.)|a(?:d|\.d\.)|b(?:c|\.c\.))`
)

var (
	dateNoise = regexp.MustCompile(`[^-+',./:@0-9A-Za-z\[\]\x{80}-\x{10FFFF}]+`)
	weekday   = regexp.MustCompile(`(?i)\b(?:sun|mon|tue|wed|thu|fri|sat)[^-/\d\s]*`)

	// clock is a time of day, and what may be a zone behind it.
	clock = regexp.MustCompile(`(?i)(` +
		`(?:\d+\s*:\s*\d+(?:\s*:\s*\d+(?:[,.]\d*)?)?|\d+\s*h(?:\s*\d+m?(?:\s*\d+s?)?)?)(?:\s*[ap](?:m\b|\.m\.))?` +
		`|\d+\s*[ap](?:m\b|\.m\.))` +
		`(?:\s*(` +
		`(?:gmt|utc?)?[-+]\d+(?:[,.:]\d+(?::\d+)?)?` +
		`|[[:alpha:].\s]+(?:standard|daylight)\stime\b` +
		`|[[:alpha:]]+(?:\sdst)?\b))?`)
	clockParts = regexp.MustCompile(`(?i)\A(\d+)h?(?:\s*:?\s*(\d+)m?(?:\s*:?\s*(\d+)(?:[,.]\d*)?s?)?)?(?:\s*([ap])(?:m\b|\.m\.))?`)

	beforeChrist = regexp.MustCompile(`(?i)\b(?:bc\b|bce\b|b\.c\.|b\.c\.e\.)`)
)

// notation is one way to write a date. read files what its shape has found.
type notation struct {
	shape *regexp.Regexp
	read  func(d *date, m []string)
}

// notations in the order Ruby tries them. Those that cannot yield year, month and day are here because
// they keep later ones from being tried.
var notations = []notation{
	{ // 21 Nov 2026
		regexp.MustCompile(`(?i)('?\d+)[^-\d\s]*\s*` + monthNames + `[^-\d\s']*(?:\s*` + eraNames + `?\s*('?-?\d+(?:(?:st|nd|rd|th)\b)?))?`),
		func(d *date, m []string) { d.setParts(m[3], monthNumber(m[2]), m[1]) },
	},
	{ // Nov 21, 2026
		regexp.MustCompile(`(?i)\b` + monthNames + `[^-\d\s']*\s*('?\d+)[^-\d\s']*(?:\s*,?\s*` + eraNames + `?\s*('?-?\d+))?`),
		func(d *date, m []string) { d.setParts(m[3], monthNumber(m[1]), m[2]) },
	},
	{ // 2026-11-21
		regexp.MustCompile(`('?[-+]?\d+)-(\d+)-('?-?\d+)`),
		func(d *date, m []string) { d.setParts(m[1], m[2], m[3]) },
	},
	{ // H38.11.21
		regexp.MustCompile(`(?i)\b([mtshr])(\d+)\.(\d+)\.(\d+)`),
		readEra,
	},
	{ // 21-Nov-2026
		regexp.MustCompile(`(?i)('?-?\d+)-` + monthNames + `[^-/.]*-('?-?\d+)`),
		func(d *date, m []string) { d.setParts(m[3], monthNumber(m[2]), m[1]) },
	},
	{ // Nov-21-2026
		regexp.MustCompile(`(?i)\b` + monthNames + `[^-/.]*-('?-?\d+)(?:-('?-?\d+))?`),
		func(d *date, m []string) { d.setParts(m[3], monthNumber(m[1]), m[2]) },
	},
	{ // 2026/11/21, 21/11/2026
		regexp.MustCompile(`('?-?\d+)/\s*('?\d+)(?:\D\s*('?-?\d+))?`),
		func(d *date, m []string) { d.setParts(m[1], m[2], m[3]) },
	},
	{ // 2026.11.21
		regexp.MustCompile(`('?-?\d+)\.\s*('?\d+)\.\s*('?-?\d+)`),
		func(d *date, m []string) { d.setParts(m[1], m[2], m[3]) },
	},
	{ // weeks, days of the year, a year alone, a month alone, a day alone
		regexp.MustCompile(`(?i)\b(?:\d{2}|\d{4})?-?w\d{2}(?:-?\d)?\b|-w-\d\b|--(?:\d{2})?-\d{2}\b|--\d{2}(?:\d{2})?\b` +
			`|\b(?:\d{2}|\d{4})-\d{3}\b|'\d+\b|\b` + monthNames + `\S*|'?\d+(?:st|nd|rd|th)\b`),
		func(*date, []string) {},
	},
	{ // 20261121T190000Z
		regexp.MustCompile(`(?i)([-+]?)(\d{2,14})(?:\s*t?\s*(\d{2,6})?(?:[,.](\d*))?)?(z\b|[-+]\d{1,4}\b)?`),
		readCompact,
	},
}

func monthNumber(name string) string {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	const numbers = "010203040506070809101112"
	i := strings.Index(names, strings.ToLower(name)) / 3
	return numbers[2*i : 2*i+2]
}

// readEra counts years of a Japanese era.
func readEra(d *date, m []string) {
	first := map[string]int{"m": 1867, "t": 1911, "s": 1925, "h": 1988, "r": 2018}
	d.hasYear = true
	d.year = number(m[2]) + first[strings.ToLower(m[1])]
	d.month, d.day = number(m[3]), number(m[4])
}

// readCompact takes dates, and times, written as digits without separators. Only the lengths that name
// a whole date matter. A run of digits with a fraction is read from its end, which names a whole date
// from 12 digits on.
func readCompact(d *date, m []string) {
	run, rest, fraction := m[2], m[3], m[4]
	if rest == "" && fraction != "" {
		d.readFromEnd(m[1], run)
		return
	}
	switch len(run) {
	case 6:
		d.setYear(m[1] + run[:2])
		d.month, d.day = number(run[2:4]), number(run[4:6])
	case 8, 10, 12, 14:
		d.setYear(m[1] + run[:4])
		d.month, d.day = number(run[4:6]), number(run[6:8])
		d.readDigits(run[8:])
	}
	if rest != "" {
		d.readDigits(rest)
	}
	if m[5] != "" {
		d.offset = zoneOffset(m[5])
	}
}

// readDigits takes hour, minute and second, two digits each.
func (d *date) readDigits(s string) {
	for i, field := range []*int{&d.hour, &d.minute, &d.second} {
		if len(s) >= 2*i+2 {
			*field = number(s[2*i : 2*i+2])
			d.hasHour = true
		}
	}
}

func (d *date) readFromEnd(sign, run string) {
	if len(run) != 12 && len(run) != 14 {
		return
	}
	end := len(run)
	for i, field := range []*int{&d.second, &d.minute, &d.hour, &d.day, &d.month} {
		*field = number(run[end-2*i-2 : end-2*i])
	}
	d.hasHour = true
	d.setYear(sign + run[:end-10])
}
