package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/reporterd/reporterd/threescale"
)

const (
	maxFile     = 8 << 20 // bytes
	maxServices = 1000
	maxRules    = 10_000 // of a service
)

// fileService is a service as it stands in a file.
type fileService struct {
	Service     string   `yaml:"service"`
	Hosts       []string `yaml:"hosts"`
	Credentials struct {
		In      string `yaml:"in"`
		UserKey string `yaml:"user_key"`
		AppID   string `yaml:"app_id"`
		AppKey  string `yaml:"app_key"`
	} `yaml:"credentials"`
	Rules []struct {
		Method  string  `yaml:"method"`
		Pattern string  `yaml:"pattern"`
		Metric  string  `yaml:"metric"`
		Delta   *uint64 `yaml:"delta"`
		Last    bool    `yaml:"last"`
	} `yaml:"rules"`
	Answers map[Reason]struct {
		Status int    `yaml:"status"`
		Text   string `yaml:"text"`
		Type   string `yaml:"type"`
	} `yaml:"answers"`
}

// Read reads a file of services: YAML, a list called services. The error has a line for each field that is wrong, and what was
// expected. For an empty name there are no services.
func Read(file string) (*Services, error) {
	if file == "" {
		return &Services{}, nil
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("gate: %s: there is no such file", file)
	}
	if err != nil {
		return nil, fmt.Errorf("gate: %w", err)
	}
	defer func() { _ = f.Close() }() // opened for reading
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("more than %d bytes", maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("gate: %s: %w", file, err)
	}
	s, problems := parse(text)
	if len(problems) > 0 {
		return nil, fmt.Errorf("gate: %s: %s", file, strings.Join(problems, "\n"))
	}
	return s, nil
}

// parse reads the text of a file.
func parse(text []byte) (*Services, []string) {
	var in struct {
		Services []fileService `yaml:"services"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&in); err != nil && !errors.Is(err, io.EOF) {
		return nil, []string{strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	p := parser{made: &Services{byHost: map[string]*Service{}}, ids: map[string]bool{}}
	if len(in.Services) == 0 || len(in.Services) > maxServices {
		p.fault("services", "expected 1 to %d services", maxServices)
	}
	for i := range in.Services {
		p.service(fmt.Sprintf("services[%d]", i), &in.Services[i])
	}
	return p.made, p.problems
}

// parser checks a file and collects what is wrong with it.
type parser struct {
	made     *Services
	ids      map[string]bool
	problems []string
}

func (p *parser) fault(field, expected string, args ...any) {
	p.problems = append(p.problems, field+": "+fmt.Sprintf(expected, args...))
}

func (p *parser) service(at string, in *fileService) {
	s := &Service{ID: in.Service, Origin: "the file", Refusals: map[Reason]Refusal{}}
	if s.ID == "" || threescale.TooLong(s.ID) || p.ids[s.ID] {
		p.fault(at+".service", "expected the id of a service, in quotes, each once")
	}
	p.ids[s.ID] = true
	for i, host := range in.Hosts {
		host = strings.ToLower(host)
		if host == "" || strings.ContainsAny(host, "/: ") || p.made.byHost[host] != nil {
			p.fault(fmt.Sprintf("%s.hosts[%d]", at, i), "expected the name of a host without a port, each once in the file")
			continue
		}
		s.Hosts = append(s.Hosts, host)
		p.made.byHost[host] = s
	}
	if len(in.Hosts) == 0 {
		if p.made.rest != nil {
			p.fault(at+".hosts", "expected hosts: service %s has none, so it answers for every other host", p.made.rest.ID)
		}
		p.made.rest = s
	}
	p.credentials(at+".credentials", in, s)
	p.rules(at, in, s)
	for why, answer := range in.Answers {
		field := at + ".answers." + string(why)
		if _, known := usual[why]; !known {
			p.fault(field, "expected auth_missing, auth_failed, no_match or limits_exceeded")
		}
		if answer.Status != 0 && (answer.Status < 400 || answer.Status > 499) {
			p.fault(field+".status", "expected 400 to 499")
		}
		if strings.ContainsAny(answer.Text, "\r\n") {
			p.fault(field+".text", "expected one line")
		}
		if _, _, err := mime.ParseMediaType(answer.Type); answer.Type != "" && err != nil {
			p.fault(field+".type", "expected a media type, such as application/json")
		}
		s.Refusals[why] = Refusal{answer.Status, answer.Text, answer.Type}
	}
	p.made.all = append(p.made.all, s)
}

func (p *parser) credentials(at string, in *fileService, s *Service) {
	c := &in.Credentials
	s.Credentials = Credentials{In: c.In, UserKey: c.UserKey, AppID: c.AppID, AppKey: c.AppKey}
	switch c.In {
	case inQuery, inHeaders, inAuthorization:
	default:
		p.fault(at+".in", "expected query, headers or authorization")
	}
	if (c.UserKey == "") == (c.AppID == "") {
		p.fault(at, "expected user_key, or app_id and perhaps app_key: the names that they have there")
	}
	if c.AppKey != "" && c.AppID == "" {
		p.fault(at+".app_key", "expected app_id beside it")
	}
}

func (p *parser) rules(at string, in *fileService, s *Service) {
	if len(in.Rules) == 0 || len(in.Rules) > maxRules {
		p.fault(at+".rules", "expected 1 to %d rules: without one no call passes", maxRules)
	}
	for i := range in.Rules {
		from := &in.Rules[i]
		field := fmt.Sprintf("%s.rules[%d]", at, i)
		r := &Rule{Method: strings.ToUpper(from.Method), Pattern: from.Pattern, Metric: strings.TrimSpace(from.Metric), Delta: 1, Last: from.Last}
		if r.Method == "ANY" {
			r.Method = ""
		}
		if from.Delta != nil {
			r.Delta = *from.Delta
		}
		if r.Delta > threescale.MaxValue {
			p.fault(field+".delta", "expected at most %d", uint64(threescale.MaxValue))
		}
		if r.Metric == "" || threescale.TooLong(r.Metric) {
			p.fault(field+".metric", "expected the system name of a metric")
		}
		if fault := r.compile(); fault != "" {
			p.fault(field+".pattern", "%s", fault)
		}
		s.Rules = append(s.Rules, r)
	}
	s.rules = newRuleSet(s.Rules)
}
