-- Written by `make generate` from tap_kombo/schemas.
with versions as (

    select
        *,
        row_number() over (
            partition by integration_id, stream
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{ kombo_table('sync_status') }} as sync_status

),

latest as (

    select * from versions where version = 1

)

select
    latest.integration_id,
    latest.stream,
    latest.sync_type,
    latest.status,
    cast(latest.started_at as {{ dbt.type_timestamp() }}) as started_at,
    cast(latest.completed_at as {{ dbt.type_timestamp() }}) as completed_at,
    latest.records,
    cast(latest.full_sync_started_at as {{ dbt.type_timestamp() }}) as full_sync_started_at,
    latest.error_code,
    latest.http_status,
    latest.log_url,
    latest.message,
    latest.additional_fields,
    cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }}) as _sdc_extracted_at
from latest
