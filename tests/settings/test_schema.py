"""The JSON Schema: equal to the file that ships, and of one mind with the models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from floe_monitor.settings import Settings
from floe_monitor.settings.schema import json_schema, schema_text

CONFIG = Path(__file__).parents[2] / "config"


def valid(document: Any) -> bool:
    return jsonschema.Draft202012Validator(json_schema()).is_valid(document)


def test_it_is_the_one_that_ships() -> None:
    shipped = CONFIG / "floe-monitor.schema.json"
    assert shipped.read_text() == schema_text(), "write it anew: floe-monitor config schema > " + str(shipped)


def test_it_is_a_schema_with_a_description_for_every_key() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for owner in (schema, *schema["$defs"].values()):
        for key, field in owner["properties"].items():
            assert field.get("description"), key


def test_it_says_nothing_of_where_it_was_made() -> None:
    assert '"title": "' not in json.dumps(json_schema()["$defs"])


GOOD: list[dict[str, Any]] = [
    {},
    {"probe": {"interval": "1h30m", "timeout": 0.5}},
    {"shutdown_grace": 0, "history": 0, "http": {"port": 0}},
    {"targets": {"a.b-c_1": {"plugin": "x", "own": {"deep": [1]}, "labels": {"team": "core"}}}},
    {"targets": {"a": {"plugin": "x", "credentials": {"p": {"env": "A", "file": "/b"}}}}},
    {"targets": {"a": {"plugin": "x", "probe": {"isolation": None, "interval": 5}}}},
    {"profiles": [{"name": "p", "path": "x", "targets": ["a"]}]},
]
BAD: list[dict[str, Any]] = [
    {"prob": {}},
    {"probe": {"interval": "soon"}},
    {"probe": {"failure_threshold": 0}},
    {"http": {"port": 70000}},
    {"http": {"host": ""}},
    {"targets": {"bad name": {"plugin": "x"}}},
    {"targets": {"a" * 129: {"plugin": "x"}}},
    {"targets": {"a": {}}},
    {"targets": {"a": {"plugin": "x", "threads": 65}}},
    {"targets": {"a": {"plugin": "x", "labels": {"1": "b"}}}},
    {"targets": {"a": {"plugin": "x", "credentials": {"p": "literal"}}}},
    {"targets": {"a": {"plugin": "x", "credentials": {"p": {}}}}},
    {"targets": {"a": {"plugin": "x", "credentials": {"p": {"env": "A B"}}}}},
    {"log": {"level": "loud"}},
    {"include": "x"},
]


@pytest.mark.parametrize("document", GOOD, ids=str)
def test_good_for_both(document: dict[str, Any]) -> None:
    assert valid(document)
    Settings.model_validate(document)


@pytest.mark.parametrize("document", BAD, ids=lambda document: str(document)[:60])
def test_bad_for_both(document: dict[str, Any]) -> None:
    assert not valid(document)
    with pytest.raises(ValidationError):
        Settings.model_validate(document)


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    errors = list(jsonschema.Draft202012Validator(json_schema()).iter_errors(document))
    assert errors == []
