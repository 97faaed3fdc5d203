// Package suggest finds the name that a person probably meant.
package suggest

import "fmt"

const (
	mostSlips = 2  // more than two slips are another word
	mostRunes = 64 // of a word that is compared
)

// Nearest returns the name that is at most two slips from word, and the nearest if there are several; empty: none is.
func Nearest(word string, names []string) string {
	best, distance := "", mostSlips+1
	for _, name := range names {
		if d := slips([]rune(word), []rune(name)); name != "" && d < distance {
			best, distance = name, d
		}
	}
	return best
}

// Hint returns Nearest as the end of a sentence; empty: there is none.
func Hint(word string, names []string) string {
	best := Nearest(word, names)
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// slips returns the Levenshtein distance: letters to add, drop or change. Long words are far from all names and not compared.
func slips(a, b []rune) int {
	if len(a) > mostRunes {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := diagonal
			if x != y {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
