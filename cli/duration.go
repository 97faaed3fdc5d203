package cli

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/reporterd/reporterd/internal/timespec"
)

// duration is the value of an option that takes a duration, by the grammar of internal/timespec.
type duration time.Duration

// addDuration defines such an option.
func addDuration(set *pflag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	*d = value
	set.Var((*duration)(d), name, usage)
}

// String is how the option's default prints.
func (d *duration) String() string { return time.Duration(*d).String() }

// Set reads the option's value.
func (d *duration) Set(text string) error {
	v, err := timespec.Duration(text)
	if err == nil {
		*d = duration(v)
	}
	return err
}

// Type names the values in the help.
func (d *duration) Type() string { return "duration" }

// pastTime reads a point in time that an option gives, by the grammar of internal/timespec; zone says where days begin.
func pastTime(option, text string, now time.Time, zone *time.Location) (time.Time, error) {
	at, err := timespec.At(text, now, zone)
	if err != nil {
		return at, misuse(fmt.Errorf("%s: %q: %s", option, text, timespec.Expected))
	}
	return at, nil
}
