{# Return a field of a column of JSON objects as text. #}
{% macro kombo_json_text(column, field) %}
    {%- if field is not string or "'" in field or '"' in field or '\\' in field -%}
        {{ exceptions.raise_compiler_error("The field " ~ field ~ " is not supported: use a name without quotes and backslashes.") }}
    {%- endif -%}
    {{ return(adapter.dispatch('kombo_json_text', 'kombo')(column, field)) }}
{% endmacro %}

{% macro default__kombo_json_text(column, field) %}
    {{- column }} ->> '{{ field }}'
{%- endmacro %}

{% macro duckdb__kombo_json_text(column, field) %}
    {{- column }} ->> '$."{{ field }}"'
{%- endmacro %}

{% macro snowflake__kombo_json_text(column, field) %}
    {{- column }}['{{ field }}']::varchar
{%- endmacro %}

{% macro bigquery__kombo_json_text(column, field) %}
    {#- The column is JSON or a STRUCT. -#}
    json_value(to_json({{ column }}), '$."{{ field }}"')
{%- endmacro %}


{% macro kombo_type_json() %}
    {{- return(adapter.dispatch('kombo_type_json', 'kombo')()) -}}
{% endmacro %}

{% macro default__kombo_type_json() %}json{% endmacro %}

{% macro postgres__kombo_type_json() %}jsonb{% endmacro %}

{% macro snowflake__kombo_type_json() %}variant{% endmacro %}
