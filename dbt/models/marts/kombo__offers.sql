{{ config(enabled=var('kombo__using_ats', true)) }}

select
    offers.id as offer_id,
    offers.integration_id,
    offers.origin_id,
    offers.tool,
    offers.status,
    offers.employment_start_date,
    offers.remote_created_at as offered_at,
    offers.application_id,
    applications.outcome,
    applications.candidate_id,
    candidates.first_name,
    candidates.last_name,
    applications.job_id,
    jobs.name as job_name,
    jobs.department
from {{ ref('stg_kombo__ats_offers') }} as offers
left join {{ ref('stg_kombo__ats_applications') }} as applications on offers.application_id = applications.id
left join {{ ref('stg_kombo__ats_candidates') }} as candidates on applications.candidate_id = candidates.id
left join {{ ref('stg_kombo__ats_jobs') }} as jobs on applications.job_id = jobs.id
