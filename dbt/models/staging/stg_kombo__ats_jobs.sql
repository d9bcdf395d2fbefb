-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_ats', true)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('ats_jobs') }} as ats_jobs

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
    latest.name,
    latest.job_code,
    latest.description,
    latest.confidential,
    latest.weekly_hours,
    latest.employment_type,
    latest.status,
    latest.visibility,
    latest.category,
    latest.department,
    latest.post_url,
    latest.experience_level,
    latest.remote_work_status,
    latest.salary_amount,
    latest.salary_amount_from,
    latest.salary_amount_to,
    latest.salary_currency,
    latest.salary_period,
    latest.location,
    latest.custom_fields,
    latest.integration_fields,
    latest.remote_url,
    cast(latest.opened_at as {{ dbt.type_timestamp() }}) as opened_at,
    cast(latest.closed_at as {{ dbt.type_timestamp() }}) as closed_at,
    cast(latest.remote_created_at as {{ dbt.type_timestamp() }}) as remote_created_at,
    cast(latest.remote_updated_at as {{ dbt.type_timestamp() }}) as remote_updated_at,
    latest.contact_id,
    latest.remote_data,
    cast(latest.changed_at as {{ dbt.type_timestamp() }}) as changed_at,
    cast(latest.remote_deleted_at as {{ dbt.type_timestamp() }}) as remote_deleted_at,
    latest.stages,
    latest.screening_questions,
    latest.job_postings,
    latest.hiring_team,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
    {{ kombo_custom_fields('ats_jobs') }}
from latest
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'ats_jobs'
where
    latest._sdc_deleted_at is null
    and (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
