{{/* What is scraped, and by which rules it is judged. */}}

{{/* One endpoint. Takes `serviceMonitor` or `podMonitor`. The exporter's own `target` is to stay: honorLabels. */}}
{{- define "floe-monitor.endpoint" -}}
port: http
path: /metrics
interval: {{ .interval }}
scrapeTimeout: {{ .scrapeTimeout }}
honorLabels: true
relabelings:
  - {sourceLabels: [__meta_kubernetes_pod_node_name], targetLabel: node}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* One rule of a group, as `prometheusRule` wants it; nothing for an alert that is left out. Takes a dict: rule, values. */}}
{{- define "floe-monitor.rule" -}}
{{- $rule := deepCopy .rule -}}
{{- if not (has $rule.alert .values.disabled) -}}
{{- if $rule.alert -}}
{{- $_ := set $rule "labels" (merge (dict) (default (dict) $rule.labels) .values.ruleLabels) -}}
{{- $url := dig "annotations" "runbook_url" "" $rule -}}
{{- if and .values.runbookUrl (contains "#" $url) -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s#%s" .values.runbookUrl (splitList "#" $url | last)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $rule -}}
{{- end -}}
{{- end -}}
