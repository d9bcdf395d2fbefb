{#
  Check that the values of a column are keys of another stream, of which rows marked as deleted count.
  An empty table is not checked: its stream is not selected or not supported. The table is found by
  its name instead of `ref`, so that dbt can select the test with one model only.
#}
{% test kombo_relationship(model, column_name, stream, field) %}
    {%- set table = kombo_loaded_table(stream) %}
    select child.{{ column_name }}
    from {{ model }} as child
    {%- if table %}
    left join (select distinct {{ field }} from {{ table }}) as parent
        on child.{{ column_name }} = parent.{{ field }}
    where
        child.{{ column_name }} is not null
        and parent.{{ field }} is null
        and exists (select 1 from {{ table }})
    {%- else %}
    where 1 = 0
    {%- endif %}
{% endtest %}
