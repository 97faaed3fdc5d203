package ingest

import (
	"strconv"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const (
	maxPast   = int64(threescale.MaxPast / time.Second)
	maxFuture = int64(threescale.MaxFuture / time.Second)
)

// oldest is the earliest timestamp, in Unix seconds, of usage that can still be reported before the backend refuses it as too
// old.
func (s *services) oldest(now int64) int64 { return now - maxPast + s.lateMargin }

// tooLate returns the error for usage that the backend would take now, but not any more when it is reported; else nil.
func (s *services) tooLate(at, now int64) *threescale.Error {
	if at == 0 || at >= s.oldest(now) {
		return nil
	}
	e := threescale.TimestampTooOld()
	e.Text = "reporting transactions older than " + strconv.FormatInt(maxPast-s.lateMargin, 10) + " seconds is not allowed"
	return e
}

// timestamp reads the Unix seconds or the RFC 3339 date at i. It must lie in the window that the backend takes, less the time
// that reporting takes.
func (d *decoder) timestamp(i int) (unix int64, end int) {
	if i < len(d.body) && d.body[i] == '"' {
		s, e := text(d.body, i)
		seconds, ok := rfc3339(s)
		if !ok {
			return 0, 0
		}
		unix, end = seconds, e
	} else {
		seconds, e := digits(d.body, i)
		unix, end = int64(seconds), e
	}
	if unix < d.services.oldest(d.now) || unix > d.now+maxFuture {
		return 0, 0
	}
	return unix, end
}

// rfc3339 reads a date as programs write it: 2026-11-21T19:37:05, a fraction (dropped) or none, then Z or
// an offset. It knows no year before 1970.
func rfc3339(s string) (unix int64, ok bool) {
	const layout = "2006-01-02T15:04:05"
	if len(s) <= len(layout) || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	century, year := pair(s, 0), pair(s, 2)
	month, day := pair(s, 5), pair(s, 8)
	hour, minute, second := pair(s, 11), pair(s, 14), pair(s, 17)
	if century|year|month|day|hour|minute|second < 0 || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	year += century * 100
	if year < 1970 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, false
	}
	offset, ok := zone(s[len(layout):])
	days := daysSinceEpoch(year, month, day)
	return int64(days)*86400 + int64(hour*3600+minute*60+second) - int64(offset), ok
}

// pair reads the two digits at i; negative when they are none.
func pair(s string, i int) int {
	tens, ones := s[i]-'0', s[i+1]-'0'
	if tens > 9 || ones > 9 {
		return -1
	}
	return int(tens)*10 + int(ones)
}

// zone reads what follows the seconds: a fraction or none, then Z or an offset, in seconds east of UTC.
func zone(s string) (offset int, ok bool) {
	if s[0] == '.' {
		i := 1
		for i < len(s) && s[i]-'0' <= 9 {
			i++
		}
		if i == 1 || i == len(s) {
			return 0, false
		}
		s = s[i:]
	}
	if s == "Z" {
		return 0, true
	}
	if len(s) != 6 || s[3] != ':' || (s[0] != '+' && s[0] != '-') {
		return 0, false
	}
	hours, minutes := pair(s, 1), pair(s, 4)
	if hours < 0 || hours > 23 || minutes < 0 || minutes > 59 {
		return 0, false
	}
	offset = hours*3600 + minutes*60
	if s[0] == '-' {
		offset = -offset
	}
	return offset, true
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSinceEpoch counts the days from 1 January 1970, with years that begin in March so that the leap day
// is the last of its year.
func daysSinceEpoch(year, month, day int) int {
	if month < 3 {
		year, month = year-1, month+12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}
