{# A column has no null. Unlike dbt's not_null, failures that are stored contain no other columns. #}
{% test kombo_not_null(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} is null
{% endtest %}
