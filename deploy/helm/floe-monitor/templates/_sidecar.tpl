{{/* For your own jobs, in a chart that has this one as a dependency with `mode: sidecar`. Each takes this chart's own
     context, which the other chart has as (index .Subcharts "floe-monitor"). deploy/helm/dbt-job shows their use. */}}

{{/* Items of `initContainers`: the monitor as a native sidecar, and what holds the job back until its targets are up. */}}
{{- define "floe-monitor.sidecar" -}}
- {{- include "floe-monitor.container" . | nindent 2 }}
{{- with .Values.sidecar.waitFor }}
- name: floe-monitor-wait
  image: {{ include "floe-monitor.image" $ | quote }}
  imagePullPolicy: {{ $.Values.image.pullPolicy }}
  args:
    - wait
    {{- toYaml . | nindent 4 }}
    - --timeout
    - {{ $.Values.sidecar.waitTimeout }}
    - --config
    - /etc/floe-monitor/floe-monitor.yaml
  env:
    {{- include "floe-monitor.env" $ | trim | nindent 4 }}
  {{- with $.Values.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  resources:
    {{- toYaml $.Values.sidecar.waitResources | nindent 4 }}
  securityContext:
    {{- toYaml $.Values.securityContext | nindent 4 }}
  volumeMounts:
    {{- include "floe-monitor.mounts" $ | nindent 4 }}
    - {name: floe-monitor-wait, mountPath: /tmp}
    {{- with $.Values.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end -}}

{{/* Items of `volumes`. */}}
{{- define "floe-monitor.sidecarVolumes" -}}
{{- include "floe-monitor.volumes" . }}
{{- if .Values.sidecar.waitFor }}
- name: floe-monitor-wait
  emptyDir: {sizeLimit: 64Mi}
{{- end }}
{{- end -}}

{{/* Labels of the pod, by which it is scraped and shielded. */}}
{{- define "floe-monitor.sidecarLabels" -}}
{{- include "floe-monitor.selectorLabels" . -}}
{{- end -}}

{{/* Items of `env` and `volumeMounts` of the container that runs dbt: what profiles.yml refers to is there for it too. */}}
{{- define "floe-monitor.dbtEnv" -}}
- {name: DBT_PROFILES_DIR, value: /var/lib/floe-monitor}
{{- include "floe-monitor.secretEnv" . }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "floe-monitor.dbtMounts" -}}
- {name: floe-monitor-data, mountPath: /var/lib/floe-monitor, readOnly: true}
{{- include "floe-monitor.secretMounts" . }}
{{- end -}}
