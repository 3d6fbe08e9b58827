{{ config(alias="built_view_" ~ var("case")) }}
select amount from {{ ref("built_table") }}
