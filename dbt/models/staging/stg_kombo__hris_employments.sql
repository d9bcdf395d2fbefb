-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_hris', true)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('hris_employments') }} as hris_employments

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
    latest.job_title,
    latest.pay_rate,
    latest.pay_period,
    latest.pay_frequency,
    latest.employment_type,
    latest.pay_currency,
    cast(latest.effective_date as {{ dbt.type_timestamp() }}) as effective_date,
    cast(latest.changed_at as {{ dbt.type_timestamp() }}) as changed_at,
    cast(latest.remote_deleted_at as {{ dbt.type_timestamp() }}) as remote_deleted_at,
    latest.remote_data,
    latest.custom_fields,
    latest.integration_fields,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
    {{ kombo_custom_fields('hris_employments') }}
from latest
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'hris_employments'
where
    latest._sdc_deleted_at is null
    and (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
