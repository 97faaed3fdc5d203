package config

import (
	"crypto/sha256"
	"io"
	"os"
	"reflect"
)

// What a reload does about a changed key: its tag reload.
const (
	takenByReload = "value" // the new value is in force at once
	readByReload  = "file"  // the file at the path is read again; another path needs a restart
)

// Changes are the keys whose change a reload puts in force, compared with before, and those that are not in force before
// a restart, compared with start, which the daemon runs with. Both in the order of the manual. A key of a file counts as
// changed when the file's contents are different.
func (c *Config) Changes(start, before *Config) (applied, restart []string) {
	applied, restart = []string{}, []string{}
	if !reflect.DeepEqual(c.Services, before.Services) {
		applied = append(applied, "services")
	}
	if !reflect.DeepEqual(c.receipts(), start.receipts()) {
		restart = append(restart, "services[].receipts")
	}
	initial, previous := fields(reflect.ValueOf(start).Elem(), ""), fields(reflect.ValueOf(before).Elem(), "")
	for i, f := range fields(reflect.ValueOf(c).Elem(), "") {
		differs := func(other field) bool { return f.value.Interface() != other.value.Interface() }
		switch how := f.tag.Get("reload"); {
		case how == takenByReload:
			if differs(previous[i]) {
				applied = append(applied, f.key)
			}
		case differs(initial[i]), how != readByReload && c.sums[f.key] != start.sums[f.key]:
			restart = append(restart, f.key)
		case c.sums[f.key] != before.sums[f.key]:
			applied = append(applied, f.key)
		}
	}
	return applied, restart
}

// receipts are those of the services that have some.
func (c *Config) receipts() map[string]Receipts {
	all := map[string]Receipts{}
	for _, s := range c.Services {
		if s.Receipts.On() {
			all[s.ID] = s.Receipts
		}
	}
	return all
}

// ReadAgain are the files that a reload reads beside the configuration's own.
func (c *Config) ReadAgain() (files []string) {
	for _, f := range fields(reflect.ValueOf(c).Elem(), "") {
		if name, is := f.value.Interface().(string); is && name != "" && f.tag.Get("reload") == readByReload {
			files = append(files, name)
		}
	}
	if c.Sources == "" { // it may be made later
		files = append(files, c.SourcesFile())
	}
	for _, s := range c.Services {
		files = append(files, s.TokenFile, s.ProviderKeyFile)
	}
	return files
}

// sum notes what the files hold that keys name.
func (c *Config) sum() {
	c.sums = map[string][sha256.Size]byte{}
	for _, f := range fields(reflect.ValueOf(c).Elem(), "") {
		name, is := f.value.Interface().(string)
		if f.key == "sources" {
			name = c.SourcesFile()
		}
		if !is || name == "" || f.tag.Get("kind") != "file" {
			continue
		}
		if text, err := readStart(name); err == nil {
			c.sums[f.key] = sha256.Sum256(text)
		}
	}
}

// readStart reads as much of a file as may matter: none that a key names is larger.
func readStart(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}
