{{/* The monitor's container and its pod, for every mode. Each takes the chart's own context. */}}

{{/* OpenShift gives each namespace its own range of users, and refuses others. */}}
{{- define "floe-monitor.podSecurityContext" -}}
{{- $context := .Values.podSecurityContext -}}
{{- if .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- $context = omit $context "runAsUser" "runAsGroup" "fsGroup" -}}
{{- end -}}
{{- toYaml $context -}}
{{- end -}}

{{/* Variables of the mounted Secrets: dbt needs them as the monitor does. */}}
{{- define "floe-monitor.secretEnv" -}}
{{- range $secret := .Values.secrets }}
{{- range $variable, $key := $secret.env }}
- name: {{ $variable }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret.name }}
      key: {{ $key }}
      optional: {{ default false $secret.optional }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "floe-monitor.env" -}}
{{- include "floe-monitor.secretEnv" . }}
- name: NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.node.name=$(NODE_NAME),k8s.pod.name=$(POD_NAME),k8s.namespace.name=$(NAMESPACE)
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* A volume's name, of a Secret's. */}}
{{- define "floe-monitor.secretVolume" -}}
{{- printf "floe-monitor-secret-%s" (replace "." "-" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What every container of ours has. `config` is a directory, never a subPath: only that follows later versions. */}}
{{- define "floe-monitor.mounts" -}}
- {name: floe-monitor-config, mountPath: /etc/floe-monitor, readOnly: true}
{{- include "floe-monitor.secretMounts" . }}
{{- end -}}

{{- define "floe-monitor.secretMounts" -}}
{{- range .Values.secrets }}
- {name: {{ include "floe-monitor.secretVolume" .name }}, mountPath: {{ printf "/var/run/secrets/%s" .name }}, readOnly: true}
{{- end }}
{{- end -}}

{{- define "floe-monitor.container" -}}
name: floe-monitor
image: {{ include "floe-monitor.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- if eq .Values.mode "sidecar" }}
restartPolicy: Always
{{- end }}
args:
  - run
  - --config
  - /etc/floe-monitor/floe-monitor.yaml
env:
  {{- include "floe-monitor.env" . | trim | nindent 2 }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: http, containerPort: {{ include "floe-monitor.port" . }}, protocol: TCP}
startupProbe:
  {{- if eq .Values.mode "sidecar" }}
  {{- $ready := dict "httpGet" (dict "path" "/readyz" "port" "http") "failureThreshold" 60 }}
  {{- mergeOverwrite (deepCopy .Values.startupProbe) $ready | toYaml | nindent 2 }}
  {{- else }}
  {{- toYaml .Values.startupProbe | nindent 2 }}
  {{- end }}
livenessProbe:
  {{- toYaml .Values.livenessProbe | nindent 2 }}
readinessProbe:
  {{- toYaml .Values.readinessProbe | nindent 2 }}
{{- with .Values.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "floe-monitor.mounts" . | nindent 2 }}
  - {name: floe-monitor-data, mountPath: /var/lib/floe-monitor}
  - {name: floe-monitor-tmp, mountPath: /tmp}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "floe-monitor.volumes" -}}
- name: floe-monitor-config
  configMap: {name: {{ include "floe-monitor.configMapName" . }}}
{{- range .Values.secrets }}
- name: {{ include "floe-monitor.secretVolume" .name }}
  secret: {secretName: {{ .name }}, optional: {{ default false .optional }}, defaultMode: 0440}
{{- end }}
- name: floe-monitor-data
  {{- toYaml (default (dict "emptyDir" (dict "sizeLimit" "16Mi" "medium" "Memory")) .Values.dataVolume) | nindent 2 }}
- name: floe-monitor-tmp
  {{- toYaml (default (dict "emptyDir" (dict "sizeLimit" "128Mi")) .Values.tmpVolume) | nindent 2 }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the pod may run, as far as that was said. */}}
{{- define "floe-monitor.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $pods := dict "labelSelector" (dict "matchLabels" (include "floe-monitor.selectorLabels" $ | fromYaml)) }}
  {{- range . }}
  - {{- merge (deepCopy .) $pods | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* `template` of a workload. */}}
{{- define "floe-monitor.podTemplate" -}}
metadata:
  labels:
    {{- include "floe-monitor.labels" . | nindent 4 }}
    app.kubernetes.io/component: monitor
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    kubectl.kubernetes.io/default-container: floe-monitor
    {{- if eq .Values.configChange "restart" }}
    checksum/config: {{ include "floe-monitor.config" . | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "floe-monitor.serviceAccountName" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.automountToken }}
  # Variables of Services named like it would be taken for its configuration.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "floe-monitor.grace" . }}
  securityContext:
    {{- include "floe-monitor.podSecurityContext" . | nindent 4 }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with include "floe-monitor.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraInitContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{- include "floe-monitor.container" . | nindent 6 }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "floe-monitor.volumes" . | nindent 4 }}
{{- end -}}
