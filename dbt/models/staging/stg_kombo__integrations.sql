-- Written by `make generate` from tap_kombo/schemas.
with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('integrations') }} as integrations

),

latest as (

    select * from versions where version = 1

)

select
    latest.id,
    latest.integration_id,
    latest.tool,
    latest.category,
    latest.status,
    latest.setup_status,
    latest.end_user,
    latest.scope_config,
    cast(latest.data_expired_at as {{ dbt.type_timestamp() }}) as data_expired_at,
    cast(latest.created_at as {{ dbt.type_timestamp() }}) as created_at,
    latest.beta,
    latest.write_actions,
    latest.additional_fields,
    {{ kombo_json_text('latest.end_user', 'origin_id') }} as origin_id,
    {{ kombo_json_text('latest.end_user', 'organization_name') }} as organization_name,
    {{ kombo_json_text('latest.tool', 'id') }} as tool_id,
    {{ kombo_json_text('latest.tool', 'label') }} as tool_label,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
from latest
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'integrations'
where
    (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
