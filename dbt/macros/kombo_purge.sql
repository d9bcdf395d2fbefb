{#
  Delete all versions of the rows that are not current from the loader's tables. Afterward, run
  `dbt build` to update the models:

      dbt run-operation kombo_purge_deleted
#}
{% macro kombo_purge_deleted() %}
    {% for stream, key in kombo_keys().items() if stream != 'sync_status' %}
        {% set table = kombo_loaded_table(stream) %}
        {% if table %}
            {% set columns = adapter.get_columns_in_relation(table) | map(attribute='name') | map('lower') | list %}
            {% set row_key = key | join(" || ' ' || ") %}
            {% do kombo_execute(
                'delete from ' ~ table ~ ' where ' ~ row_key ~ ' in (' ~
                kombo_outdated_keys(stream, table, row_key, columns) ~ ')'
            ) %}
        {% endif %}
    {% endfor %}
{% endmacro %}


{% macro kombo_outdated_keys(stream, table, row_key, columns) %}
    select latest.row_key
    from (
        select
            integration_id,
            {{ row_key }} as row_key,
            _sdc_extracted_at,
            {{ '_sdc_deleted_at' if '_sdc_deleted_at' in columns else 'null' }} as deleted_at,
            row_number() over (
                partition by {{ row_key }}
                order by _sdc_extracted_at desc {{- ', _sdc_sequence desc' if '_sdc_sequence' in columns }}
            ) as version
        from {{ table }}
    ) as latest
    left join {{ ref('stg_kombo__sync_status') }} as sync_status
        on latest.integration_id = sync_status.integration_id
        and sync_status.stream = '{{ stream }}'
    where
        latest.version = 1
        and (
            latest.deleted_at is not null
            or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) < sync_status.full_sync_started_at
        )
{% endmacro %}


{#
  Delete all rows of integrations from the loader's tables. First, remove the integrations from the
  tap's setting integration_ids. Afterward, run `dbt build` to update the models:

      dbt run-operation kombo_purge_integrations --args '{integration_ids: ["personio:x1"]}'
#}
{% macro kombo_purge_integrations(integration_ids) %}
    {% if integration_ids is string or integration_ids is not sequence or not integration_ids %}
        {{ exceptions.raise_compiler_error('integration_ids: is not a list of integrations. Write {integration_ids: ["personio:x1"]}.') }}
    {% endif %}
    {% set literals = [] %}
    {% for integration_id in integration_ids %}
        {% do literals.append(dbt.string_literal(dbt.escape_single_quotes(integration_id))) %}
    {% endfor %}
    {% for stream in kombo_keys() %}
        {% set table = kombo_loaded_table(stream) %}
        {% if table %}
            {% do kombo_execute('delete from ' ~ table ~ ' where integration_id in (' ~ literals | join(', ') ~ ')') %}
        {% endif %}
    {% endfor %}
    {% if var('kombo__stage_history', false) and load_relation(ref('kombo__application_versions')) %}
        {% do kombo_execute(
            'delete from ' ~ ref('kombo__application_versions') ~ ' where integration_id in (' ~ literals | join(', ') ~ ')'
        ) %}
    {% endif %}
{% endmacro %}


{# Execute and commit a statement: dbt does not commit the statements of an operation. #}
{% macro kombo_execute(sql) %}
    {% call statement('kombo', auto_begin=true) %}
        {{ sql }}
    {% endcall %}
    {% do adapter.commit() %}
{% endmacro %}
