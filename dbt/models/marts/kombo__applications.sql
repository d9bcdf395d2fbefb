{{ config(enabled=var('kombo__using_ats', true)) }}

with interviews as (

    select
        application_id,
        count(*) as interviews,
        min(starting_at) as first_interview_at
    from {{ ref('stg_kombo__ats_interviews') }}
    where not coalesce(canceled, false)
    group by application_id

),

offers as (

    select
        application_id,
        count(*) as offers,
        min(remote_created_at) as first_offer_at
    from {{ ref('stg_kombo__ats_offers') }}
    group by application_id

)

select
    applications.id as application_id,
    applications.integration_id,
    applications.origin_id,
    applications.tool,
    applications.candidate_id,
    applications.job_id,
    jobs.name as job_name,
    applications.current_stage_id,
    stages.name as current_stage_name,
    applications.outcome,
    applications.rejection_reason_name,
    case
        when applications.outcome = 'HIRED' then 'hired'
        when offers.offers > 0 then 'offer'
        when interviews.interviews > 0 then 'interview'
        else 'applied'
    end as furthest_step,
    coalesce(interviews.interviews, 0) as interviews,
    coalesce(offers.offers, 0) as offers,
    applications.remote_created_at as applied_at,
    interviews.first_interview_at,
    offers.first_offer_at,
    applications.rejected_at,
    {{ dbt.datediff('applications.remote_created_at', 'interviews.first_interview_at', 'day') }} as days_to_interview,
    {{ dbt.datediff('applications.remote_created_at', 'offers.first_offer_at', 'day') }} as days_to_offer,
    {{ dbt.datediff('applications.remote_created_at', 'applications.rejected_at', 'day') }} as days_to_rejection
from {{ ref('stg_kombo__ats_applications') }} as applications
left join {{ ref('stg_kombo__ats_jobs') }} as jobs on applications.job_id = jobs.id
left join {{ ref('stg_kombo__ats_application_stages') }} as stages on applications.current_stage_id = stages.id
left join interviews on applications.id = interviews.application_id
left join offers on applications.id = offers.application_id
