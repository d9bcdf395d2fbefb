{#
  Return the query of a source's freshness: the end of the last complete read of a stream, of the
  integration for which it is oldest. Reads of integrations without the model count.
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
