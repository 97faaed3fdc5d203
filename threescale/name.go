package threescale

import "unicode/utf8"

// MaxName is how long a service id, an application id, a user key, an application key, a metric and an event id may be,
// in characters (Unicode code points): 3scale's database holds them in columns of 255. UTF-8 makes at most four
// bytes of each.
const MaxName = 255

// MaxReferrer is how long a referrer may be, in characters. It is compared with filters, and is not kept.
const MaxReferrer = 2048

// TooLong reports whether a name has more than MaxName characters.
func TooLong(name string) bool { return longer(name, MaxName) }

func longer(text string, most int) bool {
	return len(text) > most && utf8.RuneCountInString(text) > most
}

// TooLongReferrer reports whether a referrer has more than MaxReferrer characters.
func TooLongReferrer(referrer string) bool { return longer(referrer, MaxReferrer) }

// Shortened is text as an error message repeats it: with at most MaxName characters, and a … where more were.
func Shortened(text string) string {
	if !TooLong(text) {
		return text
	}
	n := 0
	for i := range text {
		if n == MaxName {
			return text[:i] + "…"
		}
		n++
	}
	return text
}
