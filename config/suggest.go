package config

import (
	"fmt"
	"reflect"
)

// suggestion names the key of the section that was probably meant, as the end of a sentence; or nothing.
func suggestion(t reflect.Type, key string) string {
	best, distance := "", 3 // more than two slips are another word
	for i := range t.NumField() {
		name := t.Field(i).Tag.Get("key")
		if name == "" {
			continue
		}
		if d := slips([]rune(key), []rune(name)); d < distance {
			best, distance = name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", best)
}

// slips is the Levenshtein distance: letters to add, drop or change. Keys longer than any of ours are
// far from all of them, and not compared.
func slips(a, b []rune) int {
	if len(a) > 64 {
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
