{{ config(enabled=var('kombo__using_hris', true)) }}

with first_employments as (

    select
        employee_id,
        min(effective_date) as effective_date
    from {{ ref('stg_kombo__hris_employments') }}
    group by employee_id

),

-- The employees on the last day of each month
employed as (

    select
        months.month,
        months.last_day,
        employees.id as employee_id,
        employees.integration_id,
        employees.origin_id,
        employees.tool,
        employees.employment_type
    from {{ ref('stg_kombo__hris_employees') }} as employees
    left join first_employments on employees.id = first_employments.employee_id
    inner join {{ ref('kombo__months') }} as months
        on cast(coalesce(employees.start_date, first_employments.effective_date) as date) <= months.last_day
        and coalesce(cast(employees.termination_date as date) >= months.last_day, true)
    where months.month <= cast({{ dbt.current_timestamp() }} as date)

),

-- The contract that was in force then
contracts as (

    select
        employed.*,
        coalesce(employments.employment_type, employed.employment_type) as contract,
        row_number() over (
            partition by employed.month, employed.employee_id
            order by employments.effective_date desc, employments.changed_at desc, employments.id
        ) as recency
    from employed
    left join {{ ref('stg_kombo__hris_employments') }} as employments
        on employed.employee_id = employments.employee_id
        and cast(employments.effective_date as date) <= employed.last_day

)

select
    integration_id,
    origin_id,
    tool,
    month,
    contract as employment_type,
    count(*) as headcount
from contracts
where recency = 1
group by integration_id, origin_id, tool, month, contract
