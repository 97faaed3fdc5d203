package threescale

import (
	"strings"
	"unicode/utf8"
)

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>`

// appendXMLText appends s with &, < and > as entities, and quotes as they are: what the backend does
// (recording error-escaped). What XML cannot carry at all becomes U+FFFD.
func appendXMLText(dst []byte, s string) []byte {
	for _, r := range xmlSafe(s) {
		switch r {
		case '&':
			dst = append(dst, "&amp;"...)
		case '<':
			dst = append(dst, "&lt;"...)
		case '>':
			dst = append(dst, "&gt;"...)
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// AppendText appends s as the text of an element, escaped as the backend escapes it; AppendAttribute
// appends it for use between double quotes.
func AppendText(dst []byte, s string) []byte { return appendXMLText(dst, s) }

// AppendAttribute is described with AppendText.
func AppendAttribute(dst []byte, s string) []byte { return appendXMLAttribute(dst, s) }

// xmlSafe replaces what is no character of XML 1.0. Parsers turn a carriage return into a line feed, so
// it goes too.
func xmlSafe(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			return utf8.RuneError
		}
		return r
	}, s)
}

// appendXMLAttribute appends s for use between double quotes.
func appendXMLAttribute(dst []byte, s string) []byte {
	for i, part := range strings.Split(s, `"`) {
		if i > 0 {
			dst = append(dst, "&quot;"...)
		}
		dst = appendXMLText(dst, part)
	}
	return dst
}

var xmlEntities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&apos;", "'", "&#39;", "'", "&amp;", "&")

// unescapeXML replaces the five entities, and leaves every other ampersand alone: the backend writes
// some texts unescaped.
func unescapeXML(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return xmlEntities.Replace(s)
}

// scanner walks through an answer from mark to mark. It is no XML parser on purpose: the backend's
// documents have one fixed shape, and are not always well-formed (recording reason-not-escaped).
type scanner struct{ rest string }

// skipTo moves behind the next mark; false, without moving, if there is none.
func (s *scanner) skipTo(mark string) bool {
	_, ok := s.until(mark)
	return ok
}

// until returns what stands before the next mark and moves behind it.
func (s *scanner) until(mark string) (string, bool) {
	before, after, ok := strings.Cut(s.rest, mark)
	if ok {
		s.rest = after
	}
	return before, ok
}

// element returns the content of the next element of that name without attributes, and moves behind it.
func (s *scanner) element(name string) (string, bool) {
	mark := *s
	if s.skipTo("<" + name + ">") {
		if text, ok := s.until("</" + name + ">"); ok {
			return text, true
		}
	}
	*s = mark
	return "", false
}

// attribute returns the raw value of an attribute in the inside of a tag, reading them one after the
// other, so that a value cannot pass for another attribute.
func attribute(tag, name string) (string, bool) {
	for {
		key, after, ok := strings.Cut(tag, `="`)
		if !ok {
			return "", false
		}
		value, rest, ok := strings.Cut(after, `"`)
		if !ok {
			return "", false
		}
		if strings.TrimSpace(key) == name {
			return value, true
		}
		tag = rest
	}
}
