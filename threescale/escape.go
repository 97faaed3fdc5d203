package threescale

const upperHex = "0123456789ABCDEF"

// plain marks the bytes that stand for themselves in a form: RFC 3986's unreserved characters.
var plain = func() (t [256]bool) {
	for c := byte('0'); c <= '9'; c++ {
		t[c] = true
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range []byte("-._~") {
		t[c] = true
	}
	return t
}()

// appendEscaped appends s percent-encoded, a blank as a plus sign.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := range len(s) {
		c := s[i]
		if plain[c] {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		if c == ' ' {
			dst = append(dst, '+')
			continue
		}
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&15])
	}
	return append(dst, s[from:]...)
}

// escapedLen is how many bytes appendEscaped appends.
func escapedLen(s string) int {
	n := len(s)
	for i := range len(s) {
		if c := s[i]; !plain[c] && c != ' ' {
			n += 2
		}
	}
	return n
}
