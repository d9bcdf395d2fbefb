-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_assessment', true)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by integration_id, id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('assessment_packages') }} as assessment_packages

),

latest as (

    select * from versions where version = 1

)

select
    latest.integration_id,
    integrations.origin_id,
    integrations.tool_id as tool,
    latest.id,
    latest.name,
    latest.description,
    cast(latest.updated_at as {{ dbt.type_timestamp() }}) as updated_at,
    latest.type,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
from latest
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'assessment_packages'
where
    (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
