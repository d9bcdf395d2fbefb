-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_hris', true)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('hris_employee_skill_assignments') }} as hris_employee_skill_assignments

),

latest as (

    select * from versions where version = 1

)

select
    latest.id,
    latest.integration_id,
    integrations.origin_id,
    integrations.tool_id as tool,
    latest.employee_id,
    latest.skill_id,
    latest.current_level,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
from latest
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'hris_employee_skill_assignments'
where
    (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
