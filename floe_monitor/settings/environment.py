"""Settings from environment variables: `FLOE_MONITOR_PROBE__INTERVAL=10s` over what the files say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from floe_monitor.settings.located_yaml import scalar
from floe_monitor.settings.models import Settings, TargetSettings
from floe_monitor.settings.problems import Place, Problem, suggestion

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.settings.problems import KeyPath

PREFIX = "FLOE_MONITOR_"
NOT_SETTINGS = frozenset({f"{PREFIX}CONFIG", f"{PREFIX}CI"})
_SERVICE_LINK = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


class _Shape(Settings, BaseSettings):
    """The settings' fields in the form pydantic-settings reads."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore")


class _Source(EnvSettingsSource):
    """Reads one given variable in place of the process's own environment."""

    def __init__(self, name: str, value: str) -> None:
        self._given = {name.lower(): value}
        super().__init__(_Shape)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


class Overlay:
    """A document with the environment over it. `origins`: the variable behind each path it set."""

    def __init__(self, document: dict[str, Any], environ: Mapping[str, str]) -> None:
        self.document = document
        self.problems: list[Problem] = []
        self.origins: dict[KeyPath, str] = {}
        given = {name for name, value in environ.items() if _is_ours(name.upper(), value)}
        # The more special variable comes later and so wins.
        for name in sorted(given, key=lambda name: (name.count("__"), name)):
            self._apply(name, environ[name])

    def variable(self, path: KeyPath) -> str | None:
        """The variable that set this path, or something above it."""
        for length in range(len(path), 0, -1):
            if (name := self.origins.get(path[:length])) is not None:
                return name
        return None

    def _apply(self, name: str, value: str) -> None:
        keys = name[len(PREFIX) :].lower().split("__")
        if keys[0] not in Settings.model_fields:
            self._refuse(name, "sets nothing", _near_variable(keys[0]))
            return
        if not all(keys):
            self._refuse(name, "has an empty part between two '__'")
            return
        try:
            found: Any = _Source(name, value)()
            for key in keys:
                found = found[key]
        except Exception:  # noqa: BLE001 - pydantic-settings' own, whose text may repeat the value
            self._refuse(name, "must be a list or a mapping in JSON")
            return
        try:
            path, document = self._put(self.document, keys, (), found)
        except _AmbiguousError as error:
            self._refuse(name, f"could mean {error}", "give these keys names that differ in more than signs")
            return
        self.document = document
        self.origins[path] = name

    def _refuse(self, name: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(place_of_variable(name), message, hint=hint))

    def _put(self, under: Any, keys: list[str], above: KeyPath, value: Any) -> tuple[KeyPath, Any]:
        if not keys:
            if _is_open(above) and isinstance(value, str):
                value = _typed(value)
            merged = {**under, **value} if isinstance(under, dict) and isinstance(value, dict) else value
            return above, merged
        head, *rest = keys
        if isinstance(under, list) and head.isdecimal() and int(head) < len(under):
            index = int(head)
            path, inner = self._put(under[index], rest, (*above, index), value)
            return path, [*under[:index], inner, *under[index + 1 :]]
        mapping = under if isinstance(under, dict) else {}
        key = _spelled(head, mapping)
        path, inner = self._put(mapping.get(key), rest, (*above, key), value)
        return path, {**mapping, key: inner}


class _AmbiguousError(Exception):
    pass


def place_of_variable(name: str) -> Place:
    return Place(f"environment variable {name}")


def _is_ours(name: str, value: str) -> bool:
    """Whether a variable means a setting: all of our prefix, less what Kubernetes sets for every Service
    whose name begins with floe-monitor."""
    if not name.startswith(PREFIX) or name in NOT_SETTINGS:
        return False
    rest = name.removeprefix(PREFIX.rstrip("_"))
    if "__" in rest:
        return True
    if rest.endswith("_PORT") and _SERVICE_URL.match(value):
        return False
    return not any(match.end() == len(rest) for match in _SERVICE_LINK.finditer(rest))


def _near_variable(head: str) -> str:
    section = next((field for field in Settings.model_fields if head.startswith(f"{field}_")), None)
    if section is not None:
        rest = head[len(section) + 1 :].upper()
        return f"did you mean '{PREFIX}{section.upper()}__{rest}'?"
    known = [f"{PREFIX}{field.upper()}" for field in Settings.model_fields]
    return suggestion(f"{PREFIX}{head.upper()}", known)


def _spelled(key: str, mapping: Mapping[str, Any]) -> str:
    """A variable's name has no case, and `_` for `-` and `.`: an existing key that reads alike is meant."""
    if key in mapping:
        return key
    alike = [each for each in mapping if _folded(each) == _folded(key)]
    if len(alike) > 1:
        raise _AmbiguousError(" or ".join(map(repr, alike)))
    return alike[0] if alike else key


def _folded(key: str) -> str:
    return re.sub(r"[-.]", "_", key).lower()


def _is_open(path: KeyPath) -> bool:
    """Whether the value may be of any type, so that only its text can tell which."""
    if len(path) < 3 or path[0] != "targets":
        return False
    key = path[2]
    return (
        key == "connection" or key not in TargetSettings.model_fields or path[2:4] == ("catalog", "options")
    )


def _typed(text: str) -> Any:
    """As the same text would be read in the file: `5432` a number, `[…]` and `{…}` and `"…"` as JSON."""
    if text[:1] in ("[", "{", '"') and not text.startswith("{{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return scalar(text) if text else text
