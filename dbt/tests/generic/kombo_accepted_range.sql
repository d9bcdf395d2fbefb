{#
  Check that the values of a column are within limits. Stored failures contain the IDs of the rows,
  not the values, which can be personal data.
#}
{% test kombo_accepted_range(model, column_name, min_value=none, max_value=none) %}
    select id
    from {{ model }}
    where
        {%- if min_value is not none %}
        {{ column_name }} < {{ min_value }}
        {%- endif %}
        {%- if min_value is not none and max_value is not none %}
        or
        {%- endif %}
        {%- if max_value is not none %}
        {{ column_name }} > {{ max_value }}
        {%- endif %}
{% endtest %}
