{{- define "spectap.labels" -}}
app.kubernetes.io/part-of: spectap
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "spectap.image" -}}
{{ .Values.image.repository }}{{ .name }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "spectap.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "spectap.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "spectap.url" -}}
{{ .Values.tls.enabled | ternary "https" "http" }}://spectap-server:8080
{{- end }}

{{- define "spectap.scheme" -}}
{{ if .Values.tls.enabled }}, scheme: HTTPS{{ end }}
{{- end }}

{{- define "spectap.issuer" -}}
{{ .Values.tls.issuerRef | default (dict "group" "cert-manager.io" "kind" "Issuer" "name" "spectap-ca") | toJson }}
{{- end }}

{{- define "spectap.names" -}}
{{ $name := "spectap-server" }}{{ $full := printf "%s.%s" $name .Release.Namespace -}}
{{ concat (list $name $full (printf "%s.svc" $full) "localhost") .Values.tls.hosts | toJson }}
{{- end }}
