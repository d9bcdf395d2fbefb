{{ config(enabled=var('kombo__using_ats', true) and var('kombo__stage_history', false)) }}

with versions as (

    -- A decided application is in no stage.
    select
        id as application_id,
        integration_id,
        job_id,
        case when outcome in ('HIRED', 'DECLINED') then '' else coalesce(current_stage_id, '') end as stage_id,
        dbt_valid_from as entered_at
    from {{ ref('kombo__application_versions') }}

    union all

    -- A deleted application has left its stage.
    select
        id as application_id,
        integration_id,
        job_id,
        '' as stage_id,
        max(dbt_valid_to) as entered_at
    from {{ ref('kombo__application_versions') }}
    group by id, integration_id, job_id
    having count(*) = count(dbt_valid_to)

),

compared as (

    select
        *,
        lag(stage_id) over (partition by application_id order by entered_at) as previous_stage_id
    from versions

),

changes as (

    select
        *,
        lead(entered_at) over (partition by application_id order by entered_at) as left_at
    from compared
    where previous_stage_id is null or previous_stage_id <> stage_id

)

select
    changes.application_id,
    changes.integration_id,
    changes.job_id,
    changes.stage_id,
    stages.name as stage_name,
    changes.entered_at,
    changes.left_at,
    {{ dbt.datediff('changes.entered_at', 'changes.left_at', 'day') }} as days_in_stage,
    changes.previous_stage_id is not null as is_entry_observed
from changes
left join {{ ref('stg_kombo__ats_application_stages') }} as stages on changes.stage_id = stages.id
where changes.stage_id <> ''
