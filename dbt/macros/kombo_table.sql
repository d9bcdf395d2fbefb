{#
  Return the table of a stream with all columns of the stream. Columns that the table lacks, because
  they are not selected, are null. A table that does not exist is empty.
#}
{% macro kombo_table(stream) %}
    {%- set table = source('kombo', stream) -%}
    {%- if not kombo_can_query() -%}
        {{ return(table) }}
    {%- endif -%}

    {%- set found = [] -%}
    {%- if not load_relation(table) -%}
        {%- do kombo_check_schema() -%}
    {%- else -%}
        {%- set found = adapter.get_columns_in_relation(table) | map(attribute='name') | map('lower') | list -%}
    {%- endif -%}
    {%- set missing = [] -%}
    {%- for column in graph.sources['source.kombo.kombo.' ~ stream].columns.values() -%}
        {%- if column.name not in found and (column.name != '_sdc_extracted_at' or not found) -%}
            {%- do missing.append('cast(null as ' ~ kombo_type(column.data_type) ~ ') as ' ~ kombo_quoted(column.name)) -%}
        {%- endif -%}
    {%- endfor -%}

    {%- if not found -%}
        (select {{ missing | join(', ') }} limit 0)
    {%- elif missing -%}
        (select *, {{ missing | join(', ') }} from {{ table }})
    {%- else -%}
        {{ table }}
    {%- endif -%}
{% endmacro %}


{# Return the table of a stream, even of a disabled category; none if it does not exist. #}
{% macro kombo_loaded_table(stream) %}
    {%- set table = api.Relation.create(
        database=var('kombo_database', target.database),
        schema=var('kombo_schema', 'kombo'),
        identifier=stream
    ) -%}
    {{ return(load_relation(table) if kombo_can_query() else table) }}
{% endmacro %}


{# Raise an error if no stream has a table, because all models would be empty. #}
{% macro kombo_check_schema() %}
    {%- for stream in kombo_keys() if kombo_loaded_table(stream) -%}
        {{ return(none) }}
    {%- endfor -%}
    {{ exceptions.raise_compiler_error(
        "kombo_schema: " ~ var('kombo_schema', 'kombo') ~ " in the database " ~ var('kombo_database', target.database)
        ~ " has no tables of tap-kombo. Set kombo_schema and kombo_database to those that the loader writes to."
    ) }}
{% endmacro %}


{# Return whether the database can be queried: not in `dbt parse` or with `--no-introspect`. #}
{% macro kombo_can_query() %}
    {{ return(execute and flags.INTROSPECT is not false) }}
{% endmacro %}


{% macro kombo_type(name) %}
    {{- return({
        'boolean': dbt.type_boolean(),
        'date': 'date',
        'integer': dbt.type_bigint(),
        'json': kombo_type_json(),
        'number': dbt.type_float(),
        'string': dbt.type_string(),
        'timestamp': dbt.type_timestamp(),
    }[name]) -}}
{% endmacro %}


{# Quote the name of a column as the loader wrote it: on Snowflake, in upper case. #}
{% macro kombo_quoted(name) %}
    {{- return(adapter.quote(name | upper if target.type == 'snowflake' else name)) -}}
{% endmacro %}
