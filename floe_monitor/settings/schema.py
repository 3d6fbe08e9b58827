"""The configuration's JSON Schema, for editors and for checks where floe-monitor is not installed."""

from __future__ import annotations

import json
from typing import Any

from floe_monitor.settings.models import Settings

ID = "urn:floe-monitor:configuration"


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12. It holds for included files as well: no key is required."""
    schema = _tidied(Settings.model_json_schema())
    schema["$defs"]["CredentialReference"]["anyOf"] = [{"required": ["env"]}, {"required": ["file"]}]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "floe-monitor configuration",
        "description": "What floe-monitor watches, and how. Variables FLOE_MONITOR_…__… override it.",
        "type": "object",
    }
    return {**head, **{key: value for key, value in schema.items() if key not in head}}


def schema_text() -> str:
    """As `config schema` prints it and config/floe-monitor.schema.json has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(node: Any, *, of_names: bool = False) -> Any:
    """Without the titles pydantic makes of every name, and with bounded names plainly put."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    if of_names:
        return {key: _tidied(value) for key, value in node.items()}
    kept = {key: value for key, value in node.items() if key != "title"}
    if kept.get("default", 0) is None:
        del kept["default"]
    if "patternProperties" in kept:
        kept["additionalProperties"] = False
    return {
        key: _tidied(value, of_names=key in ("properties", "$defs", "patternProperties"))
        for key, value in kept.items()
    }
