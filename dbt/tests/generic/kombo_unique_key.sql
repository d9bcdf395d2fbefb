{# Check that the columns identify a row. #}
{% test kombo_unique_key(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as number_of_rows
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
