package config

import (
	"errors"
	"reflect"
	"strconv"
	"time"

	"github.com/go-viper/mapstructure/v2"

	"github.com/reporterd/reporterd/internal/timespec"
)

// strict makes viper take a value only in the form the manual gives. By itself it would take 5 as five
// nanoseconds, 0123 as the service 83 and "yes" as text.
func strict(d *mapstructure.DecoderConfig) {
	d.TagName = "key"
	d.WeaklyTypedInput = false
	d.DecodeHook = mapstructure.DecodeHookFuncType(convert)
}

// wrong is a value that convert does not take.
type wrong struct {
	value    any // nil where it may be a secret
	expected string
}

func (w *wrong) Error() string { return w.expected }

var (
	durationType = reflect.TypeOf(time.Duration(0))
	sizeType     = reflect.TypeOf(Size(0))
	secretType   = reflect.TypeOf(Secret(""))

	passthroughType = reflect.TypeOf(PassthroughOff)
)

// convert takes a value of the file, the environment or the command line to the type of its field. The
// latter two give text only.
func convert(from, to reflect.Type, value any) (any, error) {
	text, isText := value.(string)
	switch {
	case from == to:
		return value, nil
	case to == durationType:
		return duration(text, isText, value)
	case to == sizeType:
		return size(text, isText, value)
	case to == passthroughType:
		return passthrough(text, isText, value)
	case to == secretType && isText:
		return Secret(text), nil
	case to == secretType:
		return nil, &wrong{nil, "expected text, in quotes"}
	case to.Kind() == reflect.String:
		return nil, &wrong{value, "expected text, in quotes"}
	case to.Kind() == reflect.Int && isText:
		n, err := strconv.Atoi(text)
		return n, unless(err, value, "expected a whole number")
	case to.Kind() == reflect.Int && from.Kind() != reflect.Int:
		return nil, &wrong{value, "expected a whole number"}
	case to.Kind() == reflect.Bool && (text == "true" || text == "false"):
		return text == "true", nil
	case to.Kind() == reflect.Bool:
		return nil, &wrong{value, "expected true or false"}
	case to == servicesType && isText:
		return nil, &wrong{nil, "expected a list, in the configuration file"}
	}
	return value, nil
}

func duration(text string, isText bool, value any) (any, error) {
	const expected = "expected a duration with its unit, such as 500ms, 5s, 10m or 7d"
	if !isText {
		return nil, &wrong{value, expected}
	}
	d, err := timespec.Duration(text)
	return d, unless(err, value, expected)
}

func size(text string, isText bool, value any) (any, error) {
	const expected = "expected a size, such as 512KiB, 4MiB or 10GiB"
	if n, ok := value.(int); ok && n >= 0 {
		return Size(n), nil
	}
	if !isText {
		return nil, &wrong{value, expected}
	}
	s, err := ParseSize(text)
	return s, unless(err, value, expected)
}

func unless(err error, value any, expected string) error {
	if err == nil {
		return nil
	}
	return &wrong{value, expected}
}

// decoded notes what the decoder refused, by key. Its errors are a tree; the leaves name the key.
func (p *problems) decoded(err error) {
	switch e := err.(type) { //nolint:errorlint // the tree is walked, node by node
	case nil:
	case interface{ Unwrap() []error }:
		for _, each := range e.Unwrap() {
			p.decoded(each)
		}
	case *mapstructure.DecodeError:
		p.refused(e)
	default:
		p.decodedInside(err)
	}
}

// decodedInside goes one level down, or notes an error that names no key.
func (p *problems) decodedInside(err error) {
	if inner := errors.Unwrap(err); inner != nil {
		p.decoded(inner)
		return
	}
	p.add("", nil, "%v", err)
}

func (p *problems) refused(e *mapstructure.DecodeError) {
	var deeper *mapstructure.DecodeError
	if errors.As(e.Unwrap(), &deeper) {
		p.decoded(e.Unwrap())
		return
	}
	if p.has(e.Name()) {
		return
	}
	var w *wrong
	if errors.As(e, &w) {
		p.add(e.Name(), w.value, "%s", w.expected)
		return
	}
	p.add(e.Name(), nil, "%v", e.Unwrap())
}
