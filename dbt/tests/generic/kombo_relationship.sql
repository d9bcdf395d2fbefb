{#
  The values of a column are keys of another stream, whose table may have marked the row as deleted.
  A table without rows is not checked: its stream is not selected, or not supported. The table is
  found by its name, so that dbt can select the test with one model only.
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
