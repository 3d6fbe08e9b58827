{{/* Names, labels, the image and the configuration in force. Each takes the chart's own context. */}}

{{- define "floe-monitor.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "floe-monitor.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "floe-monitor.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "floe-monitor.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "floe-monitor.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* Of the pods of this release, and of nothing else: a selector never changes afterwards. */}}
{{- define "floe-monitor.selectorLabels" -}}
app.kubernetes.io/name: {{ include "floe-monitor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: monitor
{{- end -}}

{{- define "floe-monitor.labels" -}}
app.kubernetes.io/name: {{ include "floe-monitor.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: floe
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* `metadata` of an object. Takes a dict: context; name, labels, annotations, namespace where they differ. */}}
{{- define "floe-monitor.metadata" -}}
name: {{ default (include "floe-monitor.fullname" .context) .name }}
namespace: {{ default (include "floe-monitor.namespace" .context) .namespace }}
labels:
  {{- include "floe-monitor.labels" .context | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "floe-monitor.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "floe-monitor.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "floe-monitor.image" -}}
{{- $image := .Values.image -}}
{{- with default .Values.global.imageRegistry $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest -}}
@{{ $image.digest }}
{{- else -}}
:{{ default (printf "%s-%s" .Chart.AppVersion $image.engines) $image.tag }}
{{- end -}}
{{- end -}}

{{/* What the daemon is given: `config` over what a pod needs. Names of an Ingress must be known to the page. */}}
{{- define "floe-monitor.config" -}}
{{- $pod := dict "http" (dict "host" "0.0.0.0" "port" 9464) "log" (dict "format" "json") -}}
{{- $config := mergeOverwrite $pod (deepCopy .Values.config) -}}
{{- $hosts := default (list) $config.http.allowed_hosts -}}
{{- if .Values.ingress.enabled }}{{ $hosts = concat $hosts .Values.ingress.hosts }}{{ end -}}
{{- if .Values.httpRoute.enabled }}{{ $hosts = concat $hosts .Values.httpRoute.hostnames }}{{ end -}}
{{- if $hosts }}{{ $_ := set $config.http "allowed_hosts" (uniq $hosts) }}{{ end -}}
{{- if .Values.shards.enabled }}
{{- $index := dict "env" "POD_NAME" }}
{{- $_ := set $config "shard" (dict "index" $index "count" .Values.replicas "replicas" .Values.shards.replicas) }}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "floe-monitor.configMapName" -}}
{{- default (include "floe-monitor.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{- define "floe-monitor.port" -}}
{{- dig "http" "port" 9464 .Values.config -}}
{{- end -}}

{{/* Seconds that the pod is given to stop: more than the daemon takes for it. */}}
{{- define "floe-monitor.grace" -}}
{{- $grace := default "10s" .Values.config.shutdown_grace -}}
{{- if not (kindIs "invalid" .Values.terminationGracePeriodSeconds) -}}
{{- .Values.terminationGracePeriodSeconds -}}
{{- else if regexMatch "^[0-9.]+$" (toString $grace) -}}
{{- add (ceil (float64 $grace)) 20 -}}
{{- else -}}
{{- $day := toDate "2006-01-02" "2000-01-01" -}}
{{- add (sub ($day | dateModify $grace | unixEpoch) ($day | unixEpoch)) 20 -}}
{{- end -}}
{{- end -}}
