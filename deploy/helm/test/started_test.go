package test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
)

// combination is what of the configuration changes how a pod is spoken to.
type combination struct {
	kind, engine string
	tls, mutual  bool // HTTPS on both listeners; client certificates on both
	tokens       bool
}

func (c combination) String() string {
	return fmt.Sprintf("%s,%s,tls=%v,mutual=%v,tokens=%v", c.kind, c.engine, c.tls, c.mutual, c.tokens)
}

// combinations are all of them; client certificates are asked over HTTPS only.
func combinations() (all []combination) {
	for _, kind := range []string{"StatefulSet", "DaemonSet", "Sidecar"} {
		for _, engine := range []string{"file", "jetstream"} {
			for _, tokens := range []bool{false, true} {
				for _, secure := range [][2]bool{{false, false}, {true, false}, {true, true}} {
					all = append(all, combination{kind, engine, secure[0], secure[1], tokens})
				}
			}
		}
	}
	return all
}

// values are the chart's for a combination. slow has it accept for a while after the order to stop.
func (c combination) values(s *surroundings, prefix string, slow bool) string {
	text := "kind: " + c.kind + "\nexistingSecret: tokens\nterminationGracePeriodSeconds: 30\n"
	if c.kind == "Sidecar" {
		text += "sidecar: {container: {name: shop, image: 'shop:1'}}\n"
	}
	monitor, admin, stop := "enabled: true", "", "0s"
	if slow {
		stop = "3s"
	}
	text += "config:\n  backend: {url: \"" + s.backend + "\"}\n  stop_delay: " + stop + "\n  stop_timeout: 4s\n  dedupe: {max_ids: 5000000}\n" +
		"  services: [{id: \"1001\", token_file: /run/secrets/reporterd/1001}]\n"
	text += "  spool: {engine: " + c.engine + ", max_bytes: 16MiB, min_free_bytes: 0B}\n"
	if c.engine == "jetstream" {
		text += "  nats: {url: \"" + s.nats + "\"}\n  cluster: {partitions: 1, replicas: 1, prefix: " + prefix + "}\n"
	}
	if c.tls {
		secure := "cert_file: /run/secrets/reporterd/cert.pem, key_file: /run/secrets/reporterd/key.pem"
		if c.mutual {
			secure += ", client_ca_file: /run/secrets/reporterd/cert.pem"
			monitor += ", tlsConfig: {cert: {secret: {name: tokens, key: cert.pem}}, keySecret: {name: tokens, key: key.pem}}"
		}
		text += "  tls: {" + secure + "}\n"
		admin = "tls: {" + secure + "}"
	}
	if c.tokens {
		text += "  auth: {tokens_file: /run/secrets/reporterd/producers.yaml}\n"
		admin = strings.TrimPrefix(admin+", tokens_file: /run/secrets/reporterd/operators.yaml", ", ")
		monitor += ", bearerTokenSecret: {name: tokens, key: scraper}"
	}
	return text + "  admin: {" + admin + "}\nserviceMonitor: {" + monitor + "}\n"
}

// TestEveryRenderingStarts: what the chart makes of every combination becomes ready as a process, by the probes that
// the chart wrote, takes an event, is scraped as the ServiceMonitor says, and ends within its grace.
func TestEveryRenderingStarts(t *testing.T) {
	s := newSurroundings(t)
	t.Run("all", func(t *testing.T) {
		for i, c := range combinations() {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				slow := c.kind == "StatefulSet" && c.engine == "file"
				r := render(t, c.values(s, fmt.Sprint("c", i), slow))
				checkPod(t, r)
				checkVolumes(t, r, c)
				p := s.run(t, r.daemon(t), r.config)
				p.becomesReady()
				p.takesAnEvent(c)
				p.isScraped(r.monitor)
				p.stops(c, slow, time.Duration(*r.pod().Spec.TerminationGracePeriodSeconds)*time.Second)
			})
		}
	})
}

// checkVolumes: usage has a place that outlives the pod, and none where NATS keeps it.
func checkVolumes(t *testing.T, r release, c combination) {
	claimed := r.stateful != nil && len(r.stateful.Spec.VolumeClaimTemplates) == 1
	var data core.VolumeSource
	for _, v := range r.pod().Spec.Volumes {
		if v.Name == "data" {
			data = v.VolumeSource
		}
	}
	if claimed != (c.engine == "file" && c.kind != "DaemonSet") || (data.EmptyDir != nil) != (c.engine == "jetstream") ||
		(data.HostPath != nil) != (c.engine == "file" && c.kind == "DaemonSet") {
		t.Errorf("claimed %v, data %+v", claimed, data)
	}
}

// TestClusterManifests: the plain manifests are Kubernetes', and the replica that they describe becomes ready as a process.
func TestClusterManifests(t *testing.T) {
	s := newSurroundings(t)
	var r release
	text, err := os.ReadFile("../../cluster/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		r.add(t, "kubernetes.yaml", []byte(document))
	}
	config, err := os.ReadFile("../../cluster/reporterd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	single := strings.NewReplacer("https://su1.3scale.net", s.backend, "replicas: 3 ", "replicas: 1 ", "max_bytes: 30GiB", "max_bytes: 512MiB\n  min_free_bytes: 0B",
		"nats://nats-0.nats:4222,nats://nats-1.nats:4222,nats://nats-2.nats:4222", s.nats,
		"  monitor_urls: http://nats-0.nats:8222,http://nats-1.nats:8222,http://nats-2.nats:8222\n", "",
		"2555417.token", "1001", "2555417", "1001", "/tmp/reporterd", "/var/lib/reporterd", "/run/secrets", "/run/secrets/reporterd").Replace(string(config))
	spec := r.deployed.Spec.Template.Spec
	p := s.run(t, spec.Containers[0], single)
	p.becomesReady()
	p.takesAnEvent(combination{})
	p.stops(combination{}, true, time.Duration(*spec.TerminationGracePeriodSeconds)*time.Second)
}

// pod is a container of a rendering, run as a process: its files and ports are elsewhere.
type pod struct {
	t              *testing.T
	s              *surroundings
	container      core.Container
	here           *strings.Replacer // the container's paths and ports, in this process' world
	traffic, admin string            // addresses
	cmd            *exec.Cmd
	exited         chan struct{} // closed once it has ended
	output         bytes.Buffer  // to be read once exited is closed
}

// run starts the container's command with its configuration. The process ends with the test.
func (s *surroundings) run(t *testing.T, c core.Container, config string) *pod {
	t.Helper()
	dir := t.TempDir()
	p := &pod{t: t, s: s, container: c, exited: make(chan struct{}), traffic: freeAddress(t), admin: freeAddress(t)}
	file := filepath.Join(dir, "reporterd.yaml")
	p.here = strings.NewReplacer("/var/lib/reporterd", filepath.Join(dir, "data"), "/run/secrets/reporterd", s.secrets,
		"0.0.0.0:7070", p.traffic, "127.0.0.1:7070", p.traffic, "0.0.0.0:7071", p.admin,
		"/etc/reporterd/reporterd.yaml", file, "/usr/bin/reporterd", s.binary)
	if err := os.WriteFile(file, []byte(p.here.Replace(config)), 0o600); err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(s.binary, p.args(c.Args)...)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("%s\n%s", p.here.Replace(config), &p.output)
		}
	})
	return p
}

func (p *pod) args(all []string) (here []string) {
	for _, a := range all {
		here = append(here, p.here.Replace(a))
	}
	return here
}

// passes runs a probe once, as the kubelet does.
func (p *pod) passes(probe *core.Probe) error {
	timeout := time.Duration(max(1, probe.TimeoutSeconds)) * time.Second
	if probe.Exec != nil {
		ctx, cancel := context.WithTimeout(p.t.Context(), timeout)
		defer cancel()
		argv := p.args(probe.Exec.Command)
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w: %s", argv, err, out)
		}
		return nil
	}
	at := map[string]string{"traffic": p.traffic, "admin": p.admin}[probe.HTTPGet.Port.String()]
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	scheme := strings.ToLower(string(cmp.Or(probe.HTTPGet.Scheme, core.URISchemeHTTP)))
	answer, err := client.Get(scheme + "://" + at + probe.HTTPGet.Path)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode < 200 || answer.StatusCode >= 400 {
		return fmt.Errorf("%s: %s", probe.HTTPGet.Path, answer.Status)
	}
	return nil
}

// becomesReady: every probe passes within its attempts, and at the latest after 40 seconds.
func (p *pod) becomesReady() {
	p.t.Helper()
	for _, probe := range []*core.Probe{p.container.StartupProbe, p.container.ReadinessProbe, p.container.LivenessProbe} {
		p.eventually("a probe passes", func() error { return p.passes(probe) })
	}
}

// takesAnEvent: a producer that follows the configuration is answered 202.
func (p *pod) takesAnEvent(c combination) {
	p.t.Helper()
	client, scheme := p.s.client(c.tls, c.mutual)
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, scheme+"://"+p.traffic+"/v1/events",
		strings.NewReader(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`))
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.tokens {
		request.Header.Set("Authorization", "Bearer "+p.s.producer)
	}
	answer, err := client.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(answer.Body)
		p.t.Errorf("an event: %s %s", answer.Status, text)
	}
}

// isScraped asks for the metrics with what the ServiceMonitor says, and no more.
func (p *pod) isScraped(monitor map[string]any) {
	p.t.Helper()
	endpoint := monitor["spec"].(map[string]any)["endpoints"].([]any)[0].(map[string]any)
	secure, mutual := endpoint["tlsConfig"].(map[string]any)
	if mutual {
		_, mutual = secure["cert"]
	}
	client, _ := p.s.client(endpoint["scheme"] == "https", mutual)
	scheme := "http"
	if endpoint["scheme"] != nil {
		scheme = endpoint["scheme"].(string)
	}
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, scheme+"://"+p.admin+"/metrics", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if endpoint["authorization"] != nil {
		request.Header.Set("Authorization", "Bearer "+p.s.operator)
	}
	answer, err := client.Do(request)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusOK || !bytes.Contains(text, []byte("reporterd_events_accepted_total")) {
		p.t.Errorf("metrics: %s", answer.Status)
	}
}

// stops: told to stop, it is soon not ready and accepts until stop_delay is over, if slow; it ends with 0 within the grace.
func (p *pod) stops(c combination, slow bool, grace time.Duration) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if slow {
		p.eventually("it is not ready", func() error {
			if p.passes(p.container.ReadinessProbe) == nil {
				return fmt.Errorf("it says that it is ready")
			}
			return nil
		})
		p.takesAnEvent(c)
	}
	select {
	case <-p.exited:
	case <-time.After(grace):
		p.t.Fatal("it is killed after its grace")
	}
	if status := p.cmd.ProcessState.ExitCode(); status != 0 {
		p.t.Errorf("exit status %d", status)
	}
}

// eventually fails the test when what is not nil within 40 seconds, or when the process ends.
func (p *pod) eventually(what string, attempt func() error) {
	p.t.Helper()
	ended := time.After(40 * time.Second)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := attempt()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-p.exited:
			p.t.Fatalf("it ended: %s: %v\n%s", what, err, &p.output)
		case <-ended:
			p.t.Fatalf("not within 40 s: %s: %v", what, err)
		}
	}
}

// TestCombinations: none is missing.
func TestCombinations(t *testing.T) {
	all := combinations()
	if n := len(all); n != 3*2*2*3 || len(slices.Compact(all)) != n {
		t.Errorf("%d combinations", n)
	}
}
