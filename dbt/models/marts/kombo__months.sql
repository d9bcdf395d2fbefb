{{ config(enabled=var('kombo__using_hris', true)) }}

{% set past = var('kombo__months', 36) %}
{% set this_month = dbt.date_trunc('month', dbt.current_timestamp()) %}

with numbers as (

    {{ dbt.generate_series(past + 12) }}

),

months as (

    select
        cast({{ dbt.dateadd('month', '(cast(generated_number as ' ~ dbt.type_int() ~ ') - ' ~ past ~ ')', this_month) }} as date) as month
    from numbers

)

select
    month,
    cast({{ dbt.last_day('month', 'month') }} as date) as last_day
from months
