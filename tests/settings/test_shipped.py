"""What ships: configurations load and suit the plugins; the example and the reference leave no key out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from floe_monitor.domain.targets import build_targets
from floe_monitor.registry.discovery import discover
from floe_monitor.settings import (
    Settings,
    fields,
    history_models,
    http_models,
    load,
    models,
    notification_models,
    shard_models,
)

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

ROOT = Path(__file__).parents[2]
CONFIGURATIONS = sorted((ROOT / "config").glob("*.yaml"))
REFERENCE = (ROOT / "docs" / "configuration.md").read_text()
MODELS = [
    each
    for module in (fields, history_models, http_models, models, notification_models, shard_models)
    for each in vars(module).values()
    if isinstance(each, type) and issubclass(each, BaseModel) and each.__module__ == module.__name__
]


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.name)
def test_every_configuration_loads_and_suits_its_plugins(path: Path) -> None:
    loaded = load(path, {})
    targets = build_targets(loaded.settings, discover(), loaded.locate, {})
    for target in targets.values():
        assert target.entry.problem is None
        assert target.entry.plugin is not None
        assert target.profile_config is not None
        assert target.entry.plugin.generate_dbt_profile(target.profile_config)["type"] == target.plugin_name


def test_make_run_has_the_target_and_the_profile_it_promises() -> None:
    settings = load(ROOT / "config" / "duckdb.yaml", {}).settings
    assert settings.targets["dev"].plugin == "duckdb"
    assert settings.targets["dev"].connection["path"] == ":memory:"
    assert (settings.profiles[0].name, settings.profiles[0].path) == ("floe_project", "var/profiles.yml")
    assert settings.http.port == 9464


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_example_shows_every_key(model: type[BaseModel]) -> None:
    text = (ROOT / "config" / "example.yaml").read_text()
    for key in model.model_fields:
        assert f"{key}:" in text, f"{model.__name__}.{key}"


def test_the_example_states_the_defaults() -> None:
    settings = load(ROOT / "config" / "example.yaml", {}).settings
    for section in ("probe", "slo", "workers", "http", "reload", "log", "otlp", "history", "shutdown_grace"):
        assert getattr(settings, section) == getattr(Settings(), section), section


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default: Any = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "–"
    if default is None:
        return "unset"
    if default in ({}, []):
        return "empty"
    unit = "" if "ercentage" in str(field.description) else "s"
    return f"`{shown(default, unit)}`"


def shown(default: Any, unit: str) -> str:
    match default:
        case list():
            return f"[{', '.join(default)}]"
        case bool():
            return str(default).lower()
        case float() if unit and default and default % 86_400 == 0:
            return f"{default / 86_400:g}d"
        case float():
            return f"{default:g}{unit}"
    return str(default)


@pytest.mark.parametrize(
    "model",
    [
        model
        for model in MODELS
        if model not in (fields.Model, models.TargetProbeSettings, models.TargetSloSettings)
    ],
    ids=lambda model: model.__name__,
)
def test_the_reference_has_every_key_with_its_default_and_meaning(model: type[BaseModel]) -> None:
    rows = [
        f"| `{key}` | {default_of(field)} | {field.description} |"
        for key, field in model.model_fields.items()
    ]
    assert "\n".join(rows) in REFERENCE


def test_a_targets_own_slo_has_the_keys_of_the_common_one() -> None:
    assert models.TargetSloSettings.model_fields.keys() == models.SloSettings.model_fields.keys()


def test_a_targets_own_probe_has_the_keys_of_the_common_one() -> None:
    assert models.TargetProbeSettings.model_fields.keys() == models.ProbeSettings.model_fields.keys()
