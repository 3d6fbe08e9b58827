"""Fresh YAML: plain values as lines, within a line, or as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Lists indented as in dbt's own documentation; no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's own
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own
        return True


def _needs_quotes(value: str) -> bool:
    return value[:1] in "'{[&*!|>%@`#,?:-" or ": " in value or " #" in value


def _represent_str(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # "{{ env_var('X') }}" rather than doubled single quotes; text with line ends stays on one line.
    quotes = "'" in value and '"' not in value and "\\" not in value
    style = '"' if "\n" in value or (quotes and _needs_quotes(value)) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _represent_str)


def dump_block(value: dict[str, Any], column: int = 0, newline: str = "\n") -> str:
    """Lines of a block mapping, each indented by `column`, the last one ended."""
    text: str = yaml.dump(
        value,
        Dumper=_Dumper,
        width=math.inf,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )
    return "".join(f"{' ' * column}{line}{newline}" for line in text.split("\n")[:-1])


def dump_inline(value: Any) -> str:
    """One value within a line."""
    text: str = yaml.dump(
        [value], Dumper=_Dumper, width=math.inf, sort_keys=False, allow_unicode=True, default_flow_style=True
    )
    return text.rstrip("\n")[1:-1]


def dump_json(value: Any) -> str:
    """One value for a file whose outermost mapping is written with braces."""
    return json.dumps(value, ensure_ascii=False)
