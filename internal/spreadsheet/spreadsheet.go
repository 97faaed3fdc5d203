// Package spreadsheet makes text safe for programs that open CSV.
package spreadsheet

import "strings"

// Text returns a text that a spreadsheet shows and does not run: one that begins like a formula gets an apostrophe in front.
func Text(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}
