{#
  The values of a column are keys of another stream, whose table may have marked the row as deleted.
  A table without rows is not checked: its stream is not selected, or not supported.
#}
{% test kombo_relationship(model, column_name, stream, field) %}
    {%- set parents = kombo_table(stream) %}
    select child.{{ column_name }}
    from {{ model }} as child
    left join (select distinct {{ field }} from {{ parents }} as {{ stream }}) as parent
        on child.{{ column_name }} = parent.{{ field }}
    where
        child.{{ column_name }} is not null
        and parent.{{ field }} is null
        and exists (select 1 from {{ parents }} as {{ stream }})
{% endtest %}
