package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a service is called and opened with, in bytes. Reports leave room for credentials of
// this length however they are escaped.
const (
	maxID     = 255
	maxSecret = 1024
)

// resolve checks the services and fills in credentials that stand in files and variables.
func (c *Config) resolve(found *problems) {
	first := map[string]int{}
	for i := range c.Services {
		s, key := &c.Services[i], fmt.Sprintf("services[%d]", i)
		s.checkNames(found, key)
		if j, twice := first[s.ID]; twice && s.ID != "" {
			found.add(key+".id", s.ID, "given twice: services[%d] has it too", j)
		} else {
			first[s.ID] = i
		}
		s.resolve(found, key)
		s.Receipts.check(found, key+".receipts")
		if s.Receipts.On() && c.origins["sender.on_ambiguous"] == "" {
			c.Sender.OnAmbiguous = "receipt"
		}
	}
}

func (s *Service) checkNames(found *problems, key string) {
	switch {
	case found.has(key), found.has(key + ".id"):
	case s.ID == "":
		found.add(key+".id", nil, "expected a service id")
	case !isName(s.ID):
		found.add(key+".id", s.ID, "expected text of at most %d bytes, without white space at its ends", maxID)
	}
	for j, m := range s.Metrics {
		if k := fmt.Sprintf("%s.metrics[%d]", key, j); !isName(m) && !found.has(k) {
			found.add(k, m, "expected the system name of a metric")
		}
	}
}

func isName(s string) bool {
	return s != "" && len(s) <= maxID && strings.TrimSpace(s) == s && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// resolve leaves the credentials in Token or ProviderKey, wherever they stood.
func (s *Service) resolve(found *problems, key string) {
	var given []string
	into := map[*Secret]int{}
	for _, w := range s.ways() {
		if w.text != "" {
			given = append(given, w.name)
			into[w.into]++
		}
	}
	if len(given) == 0 || into[&s.Token] > 1 || into[&s.ProviderKey] > 1 {
		if !found.has(key) && !s.hasProblem(found, key) {
			found.add(key, nil, "expected one of token, token_file and token_env, or one of provider_key, provider_key_file and provider_key_env, "+
				"or one of each: got %s", oneByOne(given))
		}
		return
	}
	for _, w := range s.ways() {
		if w.text == "" {
			continue
		}
		secret, reason := w.read(w.text)
		if reason != "" {
			found.await(key+"."+w.name, w.place(), "%s", reason)
			return
		}
		if !isSecret(secret) {
			found.add(key+"."+w.name, w.place(), "expected one line of at most %d bytes", maxSecret)
			return
		}
		*w.into = Secret(secret)
	}
}

// hasProblem reports whether one of the ways to give credentials has a problem already.
func (s *Service) hasProblem(found *problems, key string) bool {
	for _, w := range s.ways() {
		if found.has(key + "." + w.name) {
			return true
		}
	}
	return false
}

// way is one way to give credentials.
type way struct {
	name string
	text string
	read func(text string) (secret, reason string)
	into *Secret
}

func (s *Service) ways() []way {
	return []way{
		{"token", string(s.Token), readValue, &s.Token},
		{"token_file", s.TokenFile, readSecretFile, &s.Token},
		{"token_env", s.TokenEnv, readVariable, &s.Token},
		{"provider_key", string(s.ProviderKey), readValue, &s.ProviderKey},
		{"provider_key_file", s.ProviderKeyFile, readSecretFile, &s.ProviderKey},
		{"provider_key_env", s.ProviderKeyEnv, readVariable, &s.ProviderKey},
	}
}

// place is what a message may show: the name of a file or variable, never the secret itself.
func (w way) place() any {
	if strings.HasSuffix(w.name, "_file") || strings.HasSuffix(w.name, "_env") {
		return w.text
	}
	return nil
}

func readValue(text string) (secret, reason string) { return text, "" }

func readVariable(name string) (secret, reason string) {
	if secret = strings.TrimSpace(os.Getenv(name)); secret == "" {
		return "", "expected a variable that is set"
	}
	return secret, ""
}

// byteOrderMark begins a text file that an editor of Windows wrote. It is no part of a secret.
const byteOrderMark = "\ufeff"

func readSecretFile(name string) (secret, reason string) {
	f, err := os.Open(name)
	if err != nil {
		return "", "expected a readable file: " + cause(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 2*maxSecret))
	if err != nil {
		return "", "expected a readable file: " + cause(err)
	}
	if secret = strings.TrimSpace(strings.TrimPrefix(string(text), byteOrderMark)); secret == "" {
		return "", "expected a file that is not empty"
	}
	return secret, ""
}

func isSecret(s string) bool {
	return s != "" && len(s) <= maxSecret && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// cause is an error of the file system without the path, which the message has already.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

func oneByOne(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " and ")
}
