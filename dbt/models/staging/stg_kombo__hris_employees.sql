-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_hris', true)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('hris_employees') }} as hris_employees

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
    latest.employee_number,
    latest.first_name,
    latest.last_name,
    latest.nationality,
    latest.display_full_name,
    latest.job_title,
    latest.work_email,
    latest.personal_email,
    latest.mobile_phone_number,
    latest.ssn,
    latest.tax_id,
    latest.gender,
    latest.ethnicity,
    latest.marital_status,
    latest.employment_status,
    latest.employment_type,
    latest.weekly_hours,
    latest.avatar,
    latest.work_location_id,
    latest.legal_entity_id,
    latest.manager_id,
    latest.home_address,
    latest.bank_accounts,
    cast(latest.date_of_birth as {{ dbt.type_timestamp() }}) as date_of_birth,
    cast(latest.start_date as {{ dbt.type_timestamp() }}) as start_date,
    cast(latest.termination_date as {{ dbt.type_timestamp() }}) as termination_date,
    cast(latest.remote_created_at as {{ dbt.type_timestamp() }}) as remote_created_at,
    cast(latest.changed_at as {{ dbt.type_timestamp() }}) as changed_at,
    cast(latest.remote_deleted_at as {{ dbt.type_timestamp() }}) as remote_deleted_at,
    latest.custom_fields,
    latest.integration_fields,
    latest.remote_data,
    latest.employments,
    latest.time_off_balances,
    latest.manager,
    latest.groups,
    latest.legal_entity,
    latest.teams,
    latest.work_location,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
    {{ kombo_custom_fields('hris_employees') }}
from latest
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'hris_employees'
where
    latest._sdc_deleted_at is null
    and (
        sync_status.full_sync_started_at is null
        or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) >= sync_status.full_sync_started_at
    )
