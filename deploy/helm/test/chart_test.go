// Package test renders the chart with Helm itself and reads the result as Kubernetes would: strictly, by its own types.
package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// release is what the chart makes of values.
type release struct {
	stateful *apps.StatefulSet
	daemons  *apps.DaemonSet
	deployed *apps.Deployment // of the manifests beside the chart: the last one
	services []core.Service
	budget   *policy.PodDisruptionBudget
	network  *networking.NetworkPolicy
	monitor  map[string]any
	config   string // reporterd.yaml
	kinds    []string
}

// render fails the test when Helm, the values' schema or a type of Kubernetes objects.
func render(t *testing.T, values string) release {
	t.Helper()
	files, err := files(values)
	if err != nil {
		t.Fatal(err)
	}
	var r release
	for name, text := range files {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, document := range regexp.MustCompile(`(?m)^---\n`).Split(text, -1) {
			if strings.TrimSpace(document) != "" {
				r.add(t, name, []byte(document))
			}
		}
	}
	slices.Sort(r.kinds)
	return r
}

func files(values string) (map[string]string, error) {
	chart, err := loader.LoadDir("../reporterd")
	if err != nil {
		return nil, err
	}
	read, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		return nil, err
	}
	all, err := chartutil.ToRenderValues(chart, read, chartutil.ReleaseOptions{Name: "usage", Namespace: "metering"}, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(chart, all)
}

// add decodes a document by its kind. A field that Kubernetes does not have is an error.
func (r *release) add(t *testing.T, name string, text []byte) {
	t.Helper()
	var head struct{ Kind string }
	if err := yaml.Unmarshal(text, &head); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
	var into any
	switch head.Kind {
	case "StatefulSet":
		r.stateful = new(apps.StatefulSet)
		into = r.stateful
	case "DaemonSet":
		r.daemons = new(apps.DaemonSet)
		into = r.daemons
	case "Deployment":
		r.deployed = new(apps.Deployment)
		into = r.deployed
	case "Service":
		r.services = append(r.services, core.Service{})
		into = &r.services[len(r.services)-1]
	case "PodDisruptionBudget":
		r.budget = new(policy.PodDisruptionBudget)
		into = r.budget
	case "NetworkPolicy":
		r.network = new(networking.NetworkPolicy)
		into = r.network
	case "ServiceMonitor":
		into = &r.monitor
	case "ConfigMap":
		var m core.ConfigMap
		into = &m
		defer func() { r.config = m.Data["reporterd.yaml"] }()
	default:
		t.Fatalf("%s: kind %q", name, head.Kind)
	}
	r.kinds = append(r.kinds, head.Kind)
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, text)
	}
}

// pod is the template, of whichever kind.
func (r *release) pod() core.PodTemplateSpec {
	if r.daemons != nil {
		return r.daemons.Spec.Template
	}
	return r.stateful.Spec.Template
}

// daemon is reporterd's container.
func (r *release) daemon(t *testing.T) core.Container {
	spec := r.pod().Spec
	for _, c := range slices.Concat(spec.Containers, spec.InitContainers) {
		if c.Name == "reporterd" {
			return c
		}
	}
	t.Fatal("no container reporterd")
	return core.Container{}
}

const (
	secrets = "existingSecret: tokens\nconfig: {services: [{id: '1001', token_file: /run/secrets/reporterd/1001}]}\n"
	sidecar = "kind: Sidecar\nsidecar: {container: {name: shop, image: 'shop:1', ports: [{containerPort: 8080}]}}\n"
)

// TestVariants: each kind has what it needs, stops slower than the daemon, and keeps what was acknowledged.
func TestVariants(t *testing.T) {
	for name, c := range map[string]struct {
		values string
		kinds  []string
	}{
		"StatefulSet": {"", []string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "StatefulSet"}},
		"with secrets and a monitor": {secrets + "serviceMonitor: {enabled: true, labels: {a: b}, bearerTokenSecret: {name: tokens, key: scraper}}\n",
			[]string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "ServiceMonitor", "StatefulSet"}},
		"with everything": {"podLabels: {a: b}\npodAnnotations: {a: b}\nnodeSelector: {a: b}\ntolerations: [{operator: Exists}]\npriorityClassName: high\n" +
			"serviceAccountName: x\nimagePullSecrets: [{name: x}]\naffinity: {nodeAffinity: {}}\ntopologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway}]\n" +
			"persistence: {storageClass: fast, annotations: {a: b}}\nservice: {annotations: {a: b}}\nnetworkPolicy: {traffic: [{namespaceSelector: {}}]}\n",
			[]string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "StatefulSet"}},
		"with a reader": {"reader: {enabled: true}\nsources: [{name: hits, question: service_usage, service: '1001', metric: hits}]\nnetworkPolicy: {reader: [{namespaceSelector: {}}]}\n",
			[]string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "Service", "StatefulSet"}},
		"DaemonSet": {"kind: DaemonSet\n" + secrets, []string{"ConfigMap", "DaemonSet", "NetworkPolicy", "Service", "Service"}},
		"Sidecar":   {sidecar, []string{"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "StatefulSet"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := render(t, c.values)
			if !slices.Equal(r.kinds, c.kinds) {
				t.Errorf("rendered %v, want %v", r.kinds, c.kinds)
			}
			checkPod(t, r)
			checkNames(t, r)
		})
	}
}

// checkPod holds what every variant promises.
func checkPod(t *testing.T, r release) {
	pod, d := r.pod().Spec, r.daemon(t)
	stop := 20 * time.Second // of docs/configuration.md
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < 2*stop && !strings.Contains(r.config, "stop_timeout") {
		t.Errorf("a stop may take %v, and %v is given", stop, grace)
	}
	if d.StartupProbe == nil || d.LivenessProbe == nil || d.ReadinessProbe == nil || d.ReadinessProbe.HTTPGet != nil && d.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("a probe is missing")
	}
	s := d.SecurityContext
	if !*s.ReadOnlyRootFilesystem || *s.AllowPrivilegeEscalation || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
		t.Errorf("security context %+v", s)
	}
	if r.daemons == nil && (!*pod.SecurityContext.RunAsNonRoot || len(r.stateful.Spec.VolumeClaimTemplates) != 1 && !strings.Contains(r.config, "jetstream")) {
		t.Error("a user and a volume of its own")
	}
	if r.stateful != nil && r.stateful.Spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted != apps.RetainPersistentVolumeClaimRetentionPolicyType {
		t.Error("uninstalling keeps the volumes")
	}
	mounted := map[string]bool{}
	for _, v := range pod.Volumes {
		mounted[v.Name] = true
	}
	if r.stateful != nil {
		mounted["data"] = true
	}
	for _, m := range d.VolumeMounts {
		if !mounted[m.Name] {
			t.Errorf("no volume %s", m.Name)
		}
	}
	if len(pod.InitContainers) > 0 && *pod.InitContainers[0].RestartPolicy != core.ContainerRestartPolicyAlways {
		t.Error("a sidecar goes on while the application runs")
	}
}

// checkNames: selectors find the pods, and ports exist.
func checkNames(t *testing.T, r release) {
	labels, ports := r.pod().Labels, map[string]bool{}
	for _, p := range r.daemon(t).Ports {
		ports[p.Name] = true
	}
	selected := func(what string, selector map[string]string) {
		for k, v := range selector {
			if labels[k] != v {
				t.Errorf("%s selects %s=%s, and pods have %q", what, k, v, labels[k])
			}
		}
	}
	for _, s := range r.services {
		selected("service "+s.Name, s.Spec.Selector)
		for _, p := range s.Spec.Ports {
			if !ports[p.TargetPort.String()] {
				t.Errorf("service %s: no port %s", s.Name, p.TargetPort.String())
			}
		}
	}
	selected("the network policy", r.network.Spec.PodSelector.MatchLabels)
	if r.budget != nil {
		selected("the budget", r.budget.Spec.Selector.MatchLabels)
	}
	if r.stateful != nil {
		selected("the set", r.stateful.Spec.Selector.MatchLabels)
		if !slices.ContainsFunc(r.services, func(s core.Service) bool { return s.Name == r.stateful.Spec.ServiceName }) {
			t.Errorf("no service %s", r.stateful.Spec.ServiceName)
		}
	}
}

// TestConfiguration: what the chart writes is what reporterd takes.
func TestConfiguration(t *testing.T) {
	dir := t.TempDir()
	for i, values := range []string{"", secrets, sidecar, "kind: DaemonSet\n", "reader: {enabled: true}\n"} {
		token := filepath.Join(dir, "token")
		if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(render(t, values).config, "/run/secrets/reporterd/1001", token)
		file := filepath.Join(dir, fmt.Sprint(i, ".yaml"))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("go", "run", "./cmd/reporterd", "config", "check", "--config", file)
		cmd.Dir = "../../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s\n%s", out, text)
		}
	}
}

// TestRefusedValues: a mistake in the values is told before anything is installed.
func TestRefusedValues(t *testing.T) {
	for values, want := range map[string]string{
		"kind: Deployment":                  "kind",
		"replica: 2":                        "replica",
		"config: {data_dir: /x}":            "config",
		"terminationGracePeriodSeconds: 10": "terminationGracePeriodSeconds",
		"kind: Sidecar":                     "sidecar.container",
	} {
		if _, err := files(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}

// TestTheChartFollowsTheConfiguration: probes and Prometheus speak as the admin listener does, and what is written stays so.
func TestTheChartFollowsTheConfiguration(t *testing.T) {
	const secure = "{admin: {tls: {cert_file: /c, key_file: /k}, tokens_file: /o}, auth: {tokens_file: /p}}"
	r := render(t, "config: "+secure+"\nserviceMonitor: {enabled: true, bearerTokenSecret: {name: a, key: b}}\n")
	c := r.stateful.Spec.Template.Spec.Containers[0]
	for name, probe := range map[string]*core.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if probe.HTTPGet.Scheme != core.URISchemeHTTPS {
			t.Errorf("%s: %s", name, probe.HTTPGet.Scheme)
		}
	}
	if text := fmt.Sprint(r.monitor); !strings.Contains(text, "scheme:https") {
		t.Error(text)
	}
	for values, want := range map[string]string{
		"config: {insecure: false}":             "insecure: false",
		"config: {insecure: true}":              "insecure: true",
		"config: {}":                            "insecure: true",
		"config: {auth: null, admin: null}":     "insecure: true",
		"config: {services: [{id: \"0012\"}]}":  `id: "0012"`,
		"config: {auth: {tokens_file: /run/x}}": "insecure: true",
		"config: {stop_delay: 7s, admin: {}}":   "stop_delay: 7s",
		"config: {log: {level: debug}}":         "level: debug",
		"config: {stop_delay: 34500ms}":         "stop_delay: 34500ms",
		"config: {stop_delay: 1h, stop_timeout: 1m30s}\nterminationGracePeriodSeconds: 3695": "stop_timeout: 1m30s",
		"config: " + secure: "insecure: false",
		"config: {admin: {tls: null, tokens_file: null}, spool: null, tls: null}": "insecure: true",
		"config: {tls: {client_ca_file: /x}, admin: {tokens_file: /o}}":           "insecure: false",
		"config: {admin: {tokens_file: /o}}\n" + sidecar:                          "insecure: false",
		"config: {dedupe: {max_ids: 5000000}}":                                    "max_ids: 5000000",
		"reader: {enabled: true}\nconfig: {reader: {max_connections: 9}}":         "listen: 0.0.0.0:7073",
	} {
		if text := render(t, values).config; !strings.Contains(text, want) {
			t.Errorf("%s: %s", values, text)
		}
	}
	for values, want := range map[string]string{
		"config: {services: [{id: 12}]}":         "id",
		"config: {stop_timeout: 2m}":             "terminationGracePeriodSeconds: 60: a stop may take config.stop_delay and config.stop_timeout together, and 5 seconds to close its files: set at least 130",
		"config: {stop_delay: 36s}":              "set at least 61",
		"config: {stop_timeout: 20}":             "config.stop_timeout: \"20\": expected a duration such as 20s or 1m30s",
		"config: {admin: {listen: 127.0.0.1:9}}": "config.admin.listen",
		"config: {admin: {tls: {client_ca_file: /x}}}\nserviceMonitor: {enabled: true}": "serviceMonitor.tlsConfig",
		"config: {admin: {tokens_file: /x}}\nserviceMonitor: {enabled: true}":           "serviceMonitor.bearerTokenSecret",
		"config: {ca_file: /run/secrets/reporterd/x}":                                   "existingSecret",
		"config: {services: [{token_file: /x}]}":                                        "id",
		"config: {reader: {listen: 127.0.0.1:9}}":                                       "config.reader.listen",
		"sources: [{question: services}]":                                               "name",
	} {
		if _, err := files(values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", values, err)
		}
	}
}
