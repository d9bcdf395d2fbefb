{#
  Return the freshness query of a source: the end of the last complete read of a stream, for the
  integration where it is oldest. Skipped reads, of integrations without the model, count as complete.
#}
{% macro kombo_loaded_at(table) %}
    select min(synced_at) from (
        select max(coalesce(
            cast(completed_at as {{ dbt.type_timestamp() }}),
            cast(_sdc_extracted_at as {{ dbt.type_timestamp() }})
        )) as synced_at
        from {{ source('kombo', 'sync_status') }}
        where
            status in ('complete', 'skipped')
            {%- if table.identifier != 'sync_status' %}
            and stream = '{{ table.identifier }}'
            {%- endif %}
        group by integration_id
    ) as integrations
{% endmacro %}
