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

{{/* A sidecar's traffic stays in its pod; everybody's admin listener is for the kubelet and Prometheus. */}}
{{- define "reporterd.config" -}}
{{- $listen := ternary "127.0.0.1:7070" "0.0.0.0:7070" (eq .Values.kind "Sidecar") }}
{{- $set := dict "data_dir" "/var/lib/reporterd" "listen" $listen "insecure" (not (and (dig "auth" "tokens_file" "" .Values.config) (dig "admin" "tokens_file" "" .Values.config))) "admin" (dict "listen" "0.0.0.0:7071") }}
{{- toYaml (mergeOverwrite (deepCopy .Values.config) $set) }}
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
{{- /* Recovery reads the spool once, however large: it gets ten minutes before anybody kills it. */}}
startupProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 2, failureThreshold: 300}
livenessProbe: {httpGet: {path: /livez, port: admin}, periodSeconds: 10, timeoutSeconds: 3, failureThreshold: 6}
readinessProbe: {httpGet: {path: /readyz, port: admin}, periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 2}
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
    checksum/config: {{ include "reporterd.config" . | sha256sum }}
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
    {{- /* The node's directory is root's, and nobody but root could write to it. Without capabilities it is little more. */}}
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
    {{- if eq .Values.kind "DaemonSet" }}
    - name: data
      hostPath: {path: {{ .Values.hostPath }}, type: DirectoryOrCreate}
    {{- end }}
{{- end }}
