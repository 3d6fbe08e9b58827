{{ config(alias="built_view_" ~ var("case")) }}
{% if var("apart") %}select 1 as amount{% else %}select amount from {{ ref("built_table") }}{% endif %}
