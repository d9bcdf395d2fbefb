-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_hris', true)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('hris_absences') }} as hris_absences

),

latest as (

    select * from versions where version = 1

)

select
    latest.id,
    latest.integration_id,
    integrations.origin_id,
    integrations.tool_id as tool,
    latest.remote_id,
    latest.employee_id,
    latest.approver_id,
    cast(latest.start_date as date) as start_date,
    cast(latest.end_date as date) as end_date,
    latest.start_half_day,
    latest.end_half_day,
    latest.start_time,
    latest.end_time,
    latest.amount,
    latest.unit,
    latest.status,
    latest.employee_note,
    latest.type_id,
    cast(latest.remote_created_at as {{ dbt.type_timestamp() }}) as remote_created_at,
    cast(latest.remote_updated_at as {{ dbt.type_timestamp() }}) as remote_updated_at,
    cast(latest.changed_at as {{ dbt.type_timestamp() }}) as changed_at,
    cast(latest.remote_deleted_at as {{ dbt.type_timestamp() }}) as remote_deleted_at,
    latest.remote_data,
    latest.type,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
from latest
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'hris_absences'
where
    latest._sdc_deleted_at is null
    and (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
