package config

import (
	"reflect"

	"github.com/reporterd/reporterd/internal/suggest"
)

// suggestion names the key of the section that was probably meant, as the end of a sentence; or nothing.
func suggestion(t reflect.Type, key string) string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i] = t.Field(i).Tag.Get("key")
	}
	return suggest.Hint(key, names)
}
