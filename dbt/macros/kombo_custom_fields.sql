{#
  Select the custom fields of a stream that are listed in the variable kombo__custom_fields, as text
  columns named custom_<key>.
#}
{% macro kombo_custom_fields(stream) %}
    {%- set names = ['custom_fields'] -%}
    {%- for key in var('kombo__custom_fields', {}).get(stream, []) -%}
        {%- set name = 'custom_' ~ modules.re.sub('[^a-z0-9]+', '_', key | lower).strip('_') -%}
        {%- if name in names -%}
            {{ exceptions.raise_compiler_error("kombo__custom_fields: " ~ stream ~ ": " ~ key ~ " would be a second column " ~ name ~ ". Omit one of the two fields.") }}
        {%- endif -%}
        {%- do names.append(name) %}
    , {{ kombo_json_text('latest.custom_fields', key) }} as {{ name }}
    {%- endfor -%}
{% endmacro %}
