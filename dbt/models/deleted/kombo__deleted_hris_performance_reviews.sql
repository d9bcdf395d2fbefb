-- Written by `make generate` from tap_kombo/schemas.
{{ config(enabled=var('kombo__using_hris', true) and var('kombo__deleted', false)) }}

with versions as (

    select
        *,
        row_number() over (
            partition by id
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('hris_performance_reviews') }} as hris_performance_reviews

),

latest as (

    select * from versions where version = 1

)

select
    latest.id,
    latest.integration_id,
    cast(latest._sdc_deleted_at as {{ dbt.type_timestamp() }}) as deleted_at,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as last_extracted_at
from latest
left join {{ ref('stg_kombo__sync_status') }} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = 'hris_performance_reviews'
where
    latest._sdc_deleted_at is not null
    or cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) < sync_status.full_sync_started_at
