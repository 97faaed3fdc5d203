package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Source is where a configuration comes from, beside the environment.
type Source struct {
	File    string         // path of the YAML file; empty: none
	Flags   *pflag.FlagSet // with the options of AddFlags; nil: none
	Sandbox bool           // serve --sandbox: its defaults, its services, its backend
	Person  bool           // a person reads the log: with Sandbox, its default format is console
}

// Load reads and checks a configuration, and resolves credentials that stand in files or variables. The
// error is an *Error with everything wrong at once, or that of a file that cannot be read or parsed; no
// error repeats a secret. Load reads the process's environment and is not for use beside os.Setenv.
func Load(s Source) (*Config, error) {
	found := &problems{origins: map[string]string{}}
	v, c := viper.New(), Default()
	if s.Sandbox {
		sandboxed(c, s.Person)
	}
	for _, f := range fields(reflect.ValueOf(c).Elem(), "") {
		v.SetDefault(f.key, f.value.Interface())
	}
	if s.File != "" {
		settings, file, err := readFile(s.File, found)
		if err != nil {
			return nil, err
		}
		c.file = file
		if err := v.MergeConfigMap(settings); err != nil {
			return nil, fmt.Errorf("%s: %w", s.File, err)
		}
	}
	c.bind(v, s.Flags, found)
	found.decoded(v.UnmarshalExact(c, strict))
	c.origins = found.origins
	if s.Sandbox {
		c.useSandbox(found)
	}
	if c.origins["backend.passthrough"] == "" && c.Auth.TokensFile != "" && len(c.Services) > 0 {
		c.Backend.Passthrough = PassthroughOff // a token asks producers who they are, passthrough does not
	}
	c.check(found)
	c.resolve(found)
	c.NATS.resolve(found)
	c.Portal.resolve(found)
	if err := found.err(); err != nil {
		return nil, err
	}
	c.sum()
	c.warn(s)
	return c, nil
}

// bind lets the environment and the command line set the plain keys. Each variable is bound by name:
// viper's AutomaticEnv would let an unrelated REPORTERD_BATCH blank out the whole section. An empty
// variable counts as not set.
func (c *Config) bind(v *viper.Viper, set *pflag.FlagSet, found *problems) {
	for _, f := range fields(reflect.ValueOf(c).Elem(), "") {
		_ = v.BindEnv(f.key, Variable(f.key)) // errs only without a key
		if os.Getenv(Variable(f.key)) != "" {
			found.origins[f.key] = Variable(f.key)
		}
		if set == nil || Flag(f.key) == "" {
			continue
		}
		if flag := set.Lookup(Flag(f.key)); flag != nil && flag.Changed {
			_ = v.BindPFlag(f.key, flag) // errs only without a flag
			found.origins[f.key] = "--" + flag.Name
		}
	}
}

// useSandbox points the configuration at the sandbox. A backend named by hand contradicts it.
func (c *Config) useSandbox(found *problems) {
	if o := c.origins["backend.url"]; strings.HasPrefix(o, "--") || strings.HasPrefix(o, "REPORTERD_") {
		found.add("backend.url", c.Backend.URL, "cannot be given with --sandbox, which has its own backend")
	}
	if strings.HasPrefix(c.Sandbox.Listen, "unix:") {
		found.add("sandbox.listen", c.Sandbox.Listen, "expected host:port: the daemon reports to it over TCP")
	}
	c.Backend.URL = "http://" + c.Sandbox.Listen
	c.origins["backend.url"] = "--sandbox"
	if c.origins["portal.url"] == "" {
		c.Portal.URL = "http://" + c.Sandbox.Listen
	}
	if c.NATS.URL != "" && c.origins["nats.embedded"] == "" {
		c.NATS.Embedded = false
	}
	if len(c.Services) == 0 {
		c.Services = SandboxServices()
		c.origins["services"] = "--sandbox"
	}
}

// Origin says where a key was given: reporterd.yaml:12, REPORTERD_LISTEN, --listen; empty for a default.
func (c *Config) Origin(key string) string { return c.origins[key] }

// Warnings are things that are allowed but probably not meant, a line each, without secrets.
func (c *Config) Warnings() []string { return c.warnings }

func (c *Config) warn(s Source) {
	if len(c.Services) == 0 {
		c.warnings = append(c.warnings, "services: none is named: events are refused, and 3scale's calls taken only with credentials of their own")
	}
	if c.StopTimeout <= c.Backend.Timeout {
		c.warnings = append(c.warnings, fmt.Sprintf("stop_timeout: %v: not above backend.timeout (%v): "+
			"a stop may cut off reports in flight, which may then be counted twice", c.StopTimeout, c.Backend.Timeout))
	}
	if c.Spool.Sync == "never" {
		c.warnings = append(c.warnings, "spool.sync: never: acknowledged events do not survive a power cut")
	}
	if info, err := os.Stat(s.File); err == nil && c.holdsSecrets(s.File) && info.Mode().Perm()&0o007 != 0 {
		c.warnings = append(c.warnings, fmt.Sprintf("%s: holds credentials and is open to everyone on this machine "+
			"(mode %04o): make it 0600, or use token_file or token_env", s.File, info.Mode().Perm()))
	}
	c.warnings = append(c.warnings, c.strangers()...)
}

func (c *Config) holdsSecrets(file string) bool {
	for i := range c.Services {
		for _, key := range []string{"token", "provider_key"} {
			if strings.HasPrefix(c.origins[fmt.Sprintf("services[%d].%s", i, key)], file+":") {
				return true
			}
		}
	}
	return strings.HasPrefix(c.origins["nats.password"], file+":")
}

// strangers names variables that look like ours and are none, which is how a typing error hides. They are
// not refused: Kubernetes sets REPORTERD_PORT and REPORTERD_SERVICE_HOST by itself in every pod beside a
// Service called reporterd.
func (c *Config) strangers() []string {
	known := map[string]bool{"REPORTERD_CONFIG": true, "REPORTERD_ADMIN_TOKEN": true, "REPORTERD_TOKEN": true}
	for _, f := range fields(reflect.ValueOf(c).Elem(), "") {
		known[Variable(f.key)] = true
	}
	for _, s := range c.Services {
		known[s.TokenEnv], known[s.ProviderKeyEnv] = true, true
	}
	var out []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, "REPORTERD_") || known[name] ||
			strings.Contains(name, "_PORT") || strings.Contains(name, "_SERVICE_") {
			continue
		}
		out = append(out, name+": no such key: the variable has no effect")
	}
	sort.Strings(out)
	return out
}

// IsProblem reports whether err says that a configuration is wrong, rather than unreadable.
func IsProblem(err error) bool {
	var e *Error
	return errors.As(err, &e)
}
