package config

import (
	"reflect"
	"strings"

	"github.com/spf13/pflag"
)

// field is one key with a plain value: everything but sections and the list of services.
type field struct {
	key   string // batch.flush_interval
	tag   reflect.StructTag
	value reflect.Value // settable when the Config was given by pointer
}

// fields lists the plain keys of a section in the order of the manual. prefix ends in a dot or is empty.
func fields(section reflect.Value, prefix string) []field {
	var out []field
	for i := range section.NumField() {
		f := section.Type().Field(i)
		key := f.Tag.Get("key")
		if key == "" {
			continue
		}
		switch v := section.Field(i); {
		case f.Type == servicesType:
		case v.Kind() == reflect.Struct:
			out = append(out, fields(v, prefix+key+".")...)
		default:
			out = append(out, field{prefix + key, f.Tag, v})
		}
	}
	return out
}

var servicesType = reflect.TypeOf([]Service(nil))

// Variable is the environment variable of a key: REPORTERD_BATCH_FLUSH_INTERVAL.
func Variable(key string) string {
	return "REPORTERD_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// flags are the command-line options that set a key, in the order of the help.
var flags = []struct{ name, key, usage string }{
	{"data-dir", "data_dir", "`directory` of everything that must survive (default /var/lib/reporterd)"},
	{"listen", "listen", "`address` producers send to: host:port or unix:/path (default 127.0.0.1:7070)"},
	{"admin-listen", "admin.listen", "`address` of health, status and metrics (default 127.0.0.1:7071)"},
	{"sandbox-listen", "sandbox.listen", "`address` of the stand-in backend of --sandbox (default 127.0.0.1:7072)"},
	{"nats-listen", "nats.listen", "`address` of the embedded NATS server (default 127.0.0.1:4222)"},
	{"backend-url", "backend.url", "`URL` of the 3scale backend (default https://su1.3scale.net)"},
	{"log-level", "log.level", "least `level` written: debug, info, warn or error (default info)"},
	{"log-format", "log.format", "`format` of the log: json or console (default json)"},
}

// AddFlags defines the options that set a key. Their defaults are empty: an option that is not given
// leaves the key to the environment, the file and the defaults.
func AddFlags(set *pflag.FlagSet) {
	for _, f := range flags {
		set.String(f.name, "", f.usage)
	}
}

// Flag is the command-line option of a key, without dashes; empty where there is none.
func Flag(key string) string {
	for _, f := range flags {
		if f.key == key {
			return f.name
		}
	}
	return ""
}
