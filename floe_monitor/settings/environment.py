"""Settings from environment variables: `FLOE_MONITOR_PROBE__INTERVAL=10s` over what the files say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import Place, Problem, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.settings.problems import KeyPath

PREFIX = "FLOE_MONITOR_"
NOT_SETTINGS = frozenset({f"{PREFIX}CONFIG", f"{PREFIX}CI"})
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)$")
"""What Kubernetes sets in every pod when a Service is called floe-monitor."""


class _Shape(Settings, BaseSettings):
    """The settings' fields in the form pydantic-settings reads."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore")


class _Source(EnvSettingsSource):
    """Reads a given mapping in place of the process's own environment."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._given = environ
        super().__init__(_Shape)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._given.items()}


def overlay(document: dict[str, Any], environ: Mapping[str, str]) -> tuple[dict[str, Any], list[Problem]]:
    """The document with the environment's values over it, and what is wrong with the variables' names."""
    given = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    given = {
        name: value
        for name, value in given.items()
        if name.upper() not in NOT_SETTINGS and not _SERVICE_LINK.search(name.upper())
    }
    problems, known = [], {}
    for name, value in given.items():
        if problem := _name_problem(name):
            problems.append(problem)
        else:
            known[name] = value
    if not known:
        return document, problems
    try:
        values = _Source(known)()
    except Exception:  # noqa: BLE001 - pydantic-settings' own; its text may repeat a value
        names = ", ".join(sorted(known))
        problems.append(Problem(Place("environment"), f"a list or mapping must be JSON, in one of: {names}"))
        return document, problems
    return _merge(document, values), problems


def _name_problem(name: str) -> Problem | None:
    head = name[len(PREFIX) :].split("__", maxsplit=1)[0].lower()
    if head in Settings.model_fields:
        return None
    variables = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    section = next((field for field in Settings.model_fields if head.startswith(f"{field}_")), None)
    if section is not None:
        rest = head[len(section) + 1 :].upper()
        hint = f"did you mean '{PREFIX}{section.upper()}__{rest}'?"
    else:
        hint = suggestion(f"{PREFIX}{head.upper()}", variables)
    return Problem(Place("environment"), f"{name} sets nothing", hint=hint)


def variable_for(path: KeyPath) -> str:
    return PREFIX + "__".join(str(part).upper() for part in path)


def _merge(under: Any, over: Any) -> Any:
    """`over` wins. A variable's name has no case: an existing key that differs only so, or by `_` for `-` or
    `.`, is the one it means."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    merged = dict(under)
    spelled = {_folded(key): key for key in under}
    for key, value in over.items():
        real = spelled.get(_folded(key), key)
        merged[real] = _merge(merged[real], value) if real in merged else value
    return merged


def _folded(key: str) -> str:
    return re.sub(r"[-.]", "_", key).lower()
