{{ config(alias="built_table_" ~ var("case")) }}
select {% if var("source") %}count(*) as amount from {{ var("source") }}{% else %}1 as amount{% endif %}
