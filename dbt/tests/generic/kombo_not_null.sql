{# Check that a column has no nulls. Unlike with dbt's not_null, stored failures have no other columns. #}
{% test kombo_not_null(model, column_name) %}
    select {{ column_name }}
    from {{ model }}
    where {{ column_name }} is null
{% endtest %}
