{{/* By digest where there is one: what a tag names can change. */}}
{{- define "railnet.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ with $image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "railnet.args" -}}
{{- $args := list "agent" "--install" }}
{{- range .Values.agent.aliases }}{{ $args = concat $args (list "--alias" .) }}{{ end }}
{{- with .Values.agent.metrics }}{{ $args = concat $args (list "--metrics" .) }}{{ end }}
{{- concat $args .Values.agent.extraArgs | toJson }}
{{- end }}
