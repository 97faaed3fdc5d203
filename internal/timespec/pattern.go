package timespec

import (
	"fmt"
	"strings"
	"time"
)

// pattern is how a date expression becomes text: pieces that stand for themselves, and layouts of package time.
type pattern struct {
	pieces []piece
	unit   time.Duration // what the text can tell apart: a second, a minute, an hour, or a day; month and year count as a day
	longer byte          // M or y: only the month or the year is in the text; otherwise 0
}

type piece struct {
	text   string
	layout bool
}

// dayPattern is that of format() without a pattern.
var dayPattern = pattern{pieces: []piece{{"2006-01-02", true}}, unit: day}

// letters are the letters of a pattern, as Java's SimpleDateFormat has them, with the layouts of package time.
var letters = map[string]string{
	"yyyy": "2006", "yy": "06", "MMMM": "January", "MMM": "Jan", "MM": "01", "M": "1", "dd": "02", "d": "2", "EEEE": "Monday", "EEE": "Mon",
	"HH": "15", "hh": "03", "h": "3", "mm": "04", "m": "4", "ss": "05", "s": "5", "a": "PM", "X" + "XX": "Z07:00", "XX": "Z0700", "Z": "-0700", "z": "MST",
}

// setPattern reads the argument of format. The reason is empty if it could.
func (e *expression) setPattern(text string) (reason string) {
	if text == "" {
		e.pattern = dayPattern
		return ""
	}
	p := pattern{unit: day, longer: 'y'}
	for rest := text; rest != ""; {
		c := rest[0]
		switch {
		case c == '\'':
			literal, after, found := strings.Cut(rest[1:], "'")
			if !found {
				return fmt.Sprintf("format: %q: expected ' at the end of a text", text)
			}
			p.pieces, rest = append(p.pieces, piece{text: literal}), after
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			run := rest[:len(rest)-len(strings.TrimLeft(rest, string(c)))]
			layout, known := letters[run]
			if !known {
				return fmt.Sprintf("format: %q: %s: expected letters such as yyyy, MM, dd, HH, mm, ss", text, run)
			}
			p.pieces, rest = append(p.pieces, piece{layout, true}), rest[len(run):]
			p.resolve(c)
		default:
			p.pieces, rest = append(p.pieces, piece{text: rest[:1]}), rest[1:]
		}
	}
	e.pattern = p
	return ""
}

// resolve notes what a letter lets the text tell apart.
func (p *pattern) resolve(letter byte) {
	switch letter {
	case 'M':
		if p.longer == 'y' {
			p.longer = 'M'
		}
	case 'd', 'E':
		p.longer = 0
	case 'H', 'h':
		p.unit, p.longer = min(p.unit, time.Hour), 0
	case 'm':
		p.unit, p.longer = min(p.unit, time.Minute), 0
	case 's':
		p.unit, p.longer = min(p.unit, time.Second), 0
	}
}

func (p pattern) format(t time.Time) string {
	var out strings.Builder
	for _, each := range p.pieces {
		if each.layout {
			out.WriteString(t.Format(each.text))
		} else {
			out.WriteString(each.text)
		}
	}
	return out.String()
}

// truncate returns the moment that the text names: the beginning of its day if it has no hour.
func (p pattern) truncate(t time.Time) time.Time {
	switch {
	case p.longer != 0:
		return begin(t, p.longer)
	case p.unit == day:
		return begin(t, 'd')
	case p.unit == time.Hour:
		return begin(t, 'h')
	case p.unit == time.Minute:
		return t.Add(-time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	}
	return t.Add(-time.Duration(t.Nanosecond()))
}
