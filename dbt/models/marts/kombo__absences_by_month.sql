{{ config(enabled=var('kombo__using_hris', true)) }}

with absences as (

    select
        *,
        coalesce(end_date, start_date) as last_date
    from {{ ref('stg_kombo__hris_absences') }}

),

-- The part of each absence that is in a month, by calendar days
parts as (

    select
        months.month,
        absences.id,
        absences.integration_id,
        absences.origin_id,
        absences.tool,
        absences.employee_id,
        absences.type_id,
        absences.status,
        absences.unit,
        absences.amount,
        {{ dbt.datediff('greatest(absences.start_date, months.month)', 'least(absences.last_date, months.last_day)', 'day') }} + 1 as days_in_month,
        {{ dbt.datediff('absences.start_date', 'absences.last_date', 'day') }} + 1 as days
    from absences
    inner join {{ ref('kombo__months') }} as months
        on absences.start_date <= months.last_day
        and absences.last_date >= months.month

)

select
    parts.integration_id,
    parts.origin_id,
    parts.tool,
    parts.month,
    parts.type_id,
    types.name as type_name,
    parts.status,
    parts.unit,
    count(*) as absences,
    count(distinct parts.employee_id) as employees,
    round(cast(sum(parts.amount * parts.days_in_month / parts.days) as {{ dbt.type_numeric() }}), 2) as amount
from parts
left join {{ ref('stg_kombo__hris_absence_types') }} as types on parts.type_id = types.id
group by
    parts.integration_id,
    parts.origin_id,
    parts.tool,
    parts.month,
    parts.type_id,
    types.name,
    parts.status,
    parts.unit
