{% snapshot kombo__application_versions %}

{{
    config(
        enabled=var('kombo__using_ats', true) and var('kombo__stage_history', false),
        unique_key='id',
        strategy='timestamp',
        updated_at='changed_at',
        hard_deletes='invalidate'
    )
}}

select
    id,
    integration_id,
    job_id,
    current_stage_id,
    outcome,
    changed_at
from {{ ref('stg_kombo__ats_applications') }}

{% endsnapshot %}
