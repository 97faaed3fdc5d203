{{- define "reporterd.name" -}}
{{- if contains "reporterd" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-reporterd" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "reporterd.selector" -}}
app.kubernetes.io/name: reporterd
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "reporterd.labels" -}}
{{ include "reporterd.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* A sidecar's traffic stays in its pod; every admin listener is for the kubelet and Prometheus. */}}
{{- define "reporterd.config" -}}
{{- include "reporterd.refuse" . }}
{{- $listen := ternary "127.0.0.1:7070" "0.0.0.0:7070" (eq .Values.kind "Sidecar") }}
{{- $config := deepCopy .Values.config }}
{{- range $key, $value := .Values.config }}{{ if kindIs "invalid" $value }}{{ $_ := unset $config $key }}{{ end }}{{ end }}
{{- $producers := or (eq .Values.kind "Sidecar") (include "reporterd.key" (list $config "auth" "tokens_file")) (include "reporterd.key" (list $config "tls" "client_ca_file")) }}
{{- $operators := or (include "reporterd.key" (list $config "admin" "tokens_file")) (include "reporterd.key" (list (get $config "admin" | default dict) "tls" "client_ca_file")) }}
{{- $asked := and $producers $operators }}
{{- $set := dict "data_dir" "/var/lib/reporterd" "listen" $listen "admin" (dict "listen" "0.0.0.0:7071") }}
{{- if .Values.reader.enabled }}{{ $_ := set $set "reader" (dict "listen" "0.0.0.0:7073") }}{{ end }}
{{- if not (hasKey $config "insecure") }}{{ $_ := set $set "insecure" (not $asked) }}{{ end }}
{{- toYaml (mergeOverwrite $config $set) }}
{{- end }}

{{/* A text of the configuration, by section and key; empty where one of them is missing or null. */}}
{{- define "reporterd.key" -}}
{{- get (get (index . 0) (index . 1) | default dict) (index . 2) | default "" }}
{{- end }}

{{/* The admin listener's tls, as YAML. */}}
{{- define "reporterd.admintls" -}}
{{- toYaml (get (get .Values.config "admin" | default dict) "tls" | default dict) }}
{{- end }}

{{/* Not empty where replicas share a spool in NATS: then nothing of the data directory has to outlive the pod. */}}
{{- define "reporterd.shared" -}}
{{- if eq (include "reporterd.key" (list .Values.config "spool" "engine")) "jetstream" }}yes{{ end }}
{{- end }}

{{/* What is written in the values and would not work: refused with the reason, before anything is installed. */}}
{{- define "reporterd.refuse" -}}
{{- $admin := get .Values.config "admin" | default dict }}
{{- if hasKey $admin "listen" }}{{ fail "config.admin.listen is set by the chart (0.0.0.0:7071): leave it out" }}{{ end }}
{{- if hasKey (get .Values.config "reader" | default dict) "listen" }}{{ fail "config.reader.listen is set by the chart (0.0.0.0:7073): leave it out, and set reader.enabled" }}{{ end }}
{{- if and (contains "/run/secrets/reporterd/" (toYaml .Values.config)) (not .Values.existingSecret) }}{{ fail "existingSecret: config names files of /run/secrets/reporterd: expected the secret that holds them" }}{{ end }}
{{- if and .Values.serviceMonitor.enabled (get $admin "tokens_file") (not .Values.serviceMonitor.bearerTokenSecret) }}{{ fail "serviceMonitor.bearerTokenSecret: config.admin.tokens_file is set: expected the secret of a token with the scope read" }}{{ end }}
{{- if and .Values.serviceMonitor.enabled (get (get $admin "tls" | default dict) "client_ca_file") (not (and (get .Values.serviceMonitor.tlsConfig "cert") (get .Values.serviceMonitor.tlsConfig "keySecret"))) }}{{ fail "serviceMonitor.tlsConfig: config.admin.tls.client_ca_file is set: expected the cert and keySecret that Prometheus shows" }}{{ end }}
{{- $delay := include "reporterd.seconds" (list "stop_delay" (get .Values.config "stop_delay" | default "0s")) | float64 }}
{{- $timeout := include "reporterd.seconds" (list "stop_timeout" (get .Values.config "stop_timeout" | default "20s")) | float64 }}
{{- $least := add (ceil (addf $delay $timeout)) 5 }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $least) }}{{ fail (printf "terminationGracePeriodSeconds: %d: a stop may take config.stop_delay and config.stop_timeout together, and 5 seconds to close its files: set at least %d" (int .Values.terminationGracePeriodSeconds) (int $least)) }}{{ end }}
{{- end }}

{{/* A duration of the configuration, such as 1m30s, in seconds. */}}
{{- define "reporterd.seconds" -}}
{{- $name := index . 0 }}{{ $text := index . 1 | toString }}
{{- if not (regexMatch "^([0-9]+(\\.[0-9]+)?(h|ms|m|s))+$" $text) }}{{ fail (printf "config.%s: %q: expected a duration such as 20s or 1m30s" $name $text) }}{{ end }}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9]+(\\.[0-9]+)?(h|ms|m|s)" $text -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (get (dict "h" 3600.0 "m" 60.0 "s" 1.0 "ms" 0.001) $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{/* A probe of a path: the kubelet's own, or the daemon's command where the admin listener asks for a certificate, which the
kubelet has not. The command shows one that is valid for this start of the daemon. */}}
{{- define "reporterd.probe" -}}
{{- $root := index . 0 }}{{ $path := index . 1 -}}
{{- if get (include "reporterd.admintls" $root | fromYaml) "client_ca_file" -}}
exec: {command: [/usr/bin/reporterd, healthcheck, {{ if eq $path "/livez" }}--live, {{ end }}--config, /etc/reporterd/reporterd.yaml]}
{{- else -}}
httpGet: {path: {{ $path }}, port: admin, scheme: {{ include "reporterd.scheme" $root }}}
{{- end }}
{{- end }}

{{/* How the probes and Prometheus speak to the admin listener. */}}
{{- define "reporterd.scheme" -}}
{{- $tls := get (get .Values.config "admin" | default dict) "tls" | default dict }}{{ ternary "HTTPS" "HTTP" (not (empty (get $tls "cert_file"))) }}
{{- end }}

{{/* How producers speak to the traffic listener. */}}
{{- define "reporterd.trafficscheme" -}}
{{ ternary "https" "http" (ne "" (include "reporterd.key" (list .Values.config "tls" "cert_file"))) }}
{{- end }}

{{- define "reporterd.container" -}}
name: reporterd
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [serve, --config, /etc/reporterd/reporterd.yaml]
ports:
  - name: traffic
    containerPort: 7070
    {{- if and (eq .Values.kind "DaemonSet") .Values.hostPort }}
    hostPort: {{ .Values.hostPort }}
    {{- end }}
  - name: admin
    containerPort: 7071
  {{- if .Values.reader.enabled }}
  - name: reader
    containerPort: 7073
  {{- end }}
{{- /* Recovery reads the spool once, however large: it gets ten minutes before the kubelet kills it. */}}
startupProbe: {{- dict "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" 300 | merge (include "reporterd.probe" (list . "/livez") | fromYaml) | toYaml | nindent 2 }}
livenessProbe: {{- dict "periodSeconds" 10 "timeoutSeconds" 3 "failureThreshold" 6 | merge (include "reporterd.probe" (list . "/livez") | fromYaml) | toYaml | nindent 2 }}
readinessProbe: {{- dict "periodSeconds" 5 "timeoutSeconds" 3 "failureThreshold" 2 | merge (include "reporterd.probe" (list . "/readyz") | fromYaml) | toYaml | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .Values.resources | nindent 2 }}
volumeMounts:
  - {name: data, mountPath: /var/lib/reporterd}
  - {name: config, mountPath: /etc/reporterd, readOnly: true}
  {{- if .Values.existingSecret }}
  - {name: secrets, mountPath: /run/secrets/reporterd, readOnly: true}
  {{- end }}
{{- end }}

{{- define "reporterd.volumes" -}}
- name: config
  configMap: {name: {{ include "reporterd.name" . }}}
{{- if .Values.existingSecret }}
- name: secrets
  secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}

{{- define "reporterd.pod" -}}
metadata:
  labels:
    {{- include "reporterd.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  annotations:
    checksum/config: {{ cat (include "reporterd.config" .) (toYaml .Values.sources) | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  automountServiceAccountToken: false
  {{- with .Values.serviceAccountName }}
  serviceAccountName: {{ . }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    seccompProfile: {type: RuntimeDefault}
    {{- if eq .Values.kind "DaemonSet" }}
    {{- /* The node's directory is root's, and only root could write to it. Without capabilities it is little more. */}}
    runAsUser: 0
    {{- else }}
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity: {{- toYaml .Values.affinity | nindent 4 }}
  {{- else if ne .Values.kind "DaemonSet" }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{- include "reporterd.selector" . | nindent 16 }}
  {{- end }}
  {{- if eq .Values.kind "Sidecar" }}
  {{- /* Restarted always: it starts before the application, and stops after it. */}}
  initContainers:
    - restartPolicy: Always
      {{- include "reporterd.container" . | nindent 6 }}
  containers:
    - {{- toYaml (required "sidecar.container is the application that reporterd stands beside" .Values.sidecar.container) | nindent 6 }}
  {{- else }}
  containers:
    - {{- include "reporterd.container" . | nindent 6 }}
  {{- end }}
  volumes:
    {{- include "reporterd.volumes" . | nindent 4 }}
    {{- if include "reporterd.shared" . }}
    - name: data
      emptyDir: {}
    {{- else if eq .Values.kind "DaemonSet" }}
    - name: data
      hostPath: {path: {{ .Values.hostPath }}, type: DirectoryOrCreate}
    {{- end }}
{{- end }}
