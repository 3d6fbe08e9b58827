"""Settings from environment variables: `FLOE_MONITOR_PROBE__INTERVAL=10s` over what the files say.

pydantic-settings reads them, one by one, so that each fault names its variable. What is added: keys are found
whatever their case and signs, parts of lists can be set, and it is known which variable set what.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic_settings import EnvSettingsSource

from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.key_tree import annotation_at
from floe_monitor.settings.located_yaml import MAX_DEPTH
from floe_monitor.settings.yaml_scalars import scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic_settings import BaseSettings

    from floe_monitor.registry.problems import KeyPath

PREFIX = "FLOE_MONITOR_"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
NOT_SETTINGS = frozenset({f"{PREFIX}CONFIG", f"{PREFIX}CI", f"{PREFIX}TOKEN", f"{PREFIX}URL", SECRETS_DIR})
_SERVICE_LINK = re.compile(r"_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://")


def place_of_variable(name: str) -> Place:
    return Place(f"environment variable {name}")


class EnvironmentSource(EnvSettingsSource):
    """`values` by their names, over `below`, which is what the sources of less weight say."""

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        below: Mapping[str, Any],
        values: Mapping[str, str],
        place: Callable[[str], Place] = place_of_variable,
    ) -> None:
        super().__init__(settings_cls)
        self.problems: list[Problem] = []
        self._below = below
        self._place = place
        self._origins: dict[KeyPath, tuple[str, bool]] = {}
        """The name behind each value set, and whether the value is a mapping, merged over what is below."""
        self._state: dict[str, Any] = {}
        self._whole = dict(below)
        ours = {name for name, value in values.items() if _is_ours(name.upper(), value)}
        # The more special name comes later and so wins.
        for name in sorted(ours, key=lambda name: (name.count("__"), name)):
            self._apply(name, values[name])

    def __call__(self) -> dict[str, Any]:
        return self._state

    @property
    def document(self) -> dict[str, Any]:
        """What it says, over what stands below."""
        return self._whole

    def place(self, path: KeyPath) -> Place | None:
        """Where this path, or something above it, was set; None where another source has it."""
        for length in range(len(path), 0, -1):
            name, is_mapping = self._origins.get(path[:length], ("", False))
            if name and not (is_mapping and length < len(path) and _is_in(self._below, path)):
                return self._place(name)
        return None

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {}

    def _apply(self, name: str, text: str) -> None:
        keys = name[len(PREFIX) :].lower().split("__")
        if keys[0] not in self.settings_cls.model_fields:
            self._refuse(name, "sets nothing", self._near(keys[0]))
            return
        if not all(keys):
            self._refuse(name, "has an empty part between two '__'")
            return
        try:
            value = self._value(name, text, keys)
            path, found = self._put(self._whole, keys, (), value)
        except _AmbiguousError as error:
            self._refuse(name, f"could mean {error}", "give these keys names that differ in more than signs")
            return
        except Exception:  # noqa: BLE001 - pydantic-settings' own, whose text may repeat the value
            self._refuse(name, self._wanted(keys[0]))
            return
        if _depth(found) > MAX_DEPTH:
            self._refuse(name, f"is nested more than {MAX_DEPTH} deep")
            return
        self._state = merged(self._state, found)
        # As the sources are merged: what is validated is what was searched for secrets.
        self._whole = merged(self._below, self._state)
        for length in range(1, len(path)):  # a text that a more special name has made a mapping again
            if (above := self._origins.get(path[:length])) and isinstance(
                _at(self._state, path[:length]), dict
            ):
                self._origins[path[:length]] = above[0], True
        self._note(name, path, _at(found, path))

    def _value(self, name: str, text: str, keys: list[str]) -> Any:
        """What pydantic-settings makes of this one variable."""
        self.env_vars = {name.lower(): text}
        value: Any = super().__call__()
        for key in keys:
            value = value[key]
        return value

    def _put(self, below: Any, keys: list[str], above: KeyPath, value: Any) -> tuple[KeyPath, Any]:
        """The path meant, and what to merge over `below` to have `value` there."""
        if not keys:
            return above, _typed(value) if isinstance(value, str) and self._is_open(above) else value
        head, *rest = keys
        if isinstance(below, list) and head.isdecimal() and int(head) < len(below):
            index = int(head)
            path, inner = self._put(below[index], rest, (*above, index), value)
            if isinstance(below[index], dict) and isinstance(inner, dict):
                inner = merged(below[index], inner)
            return path, [*below[:index], inner, *below[index + 1 :]]
        mapping = below if isinstance(below, dict) else {}
        key = _spelled(head, mapping)
        path, inner = self._put(mapping.get(key), rest, (*above, key), value)
        return path, {key: inner}

    def _is_open(self, path: KeyPath) -> bool:
        """Whether the value may be of any type, so that only its text decides which."""
        return path[0] == "targets" and annotation_at(self.settings_cls, path) in (
            None,
            Any,
            dict[str, Any],
        )

    def _note(self, name: str, path: KeyPath, value: Any) -> None:
        self._origins[path] = name, isinstance(value, dict)
        if isinstance(value, dict):
            for key, item in value.items():
                self._note(name, (*path, key), item)

    def _wanted(self, section: str) -> str:
        """`history` may be a number alone, as it was before it was a section."""
        return f"must be {'a number, ' if section == 'history' else ''}a list or a mapping in JSON"

    def _near(self, head: str) -> str:
        fields = self.settings_cls.model_fields
        section = next((field for field in fields if head.startswith(f"{field}_")), None)
        if section is not None:
            rest = head[len(section) + 1 :].upper()
            return f"did you mean '{PREFIX}{section.upper()}__{rest}'?"
        return suggestion(f"{PREFIX}{head.upper()}", [f"{PREFIX}{field.upper()}" for field in fields])

    def _refuse(self, name: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self._place(name), message, hint=hint))


class _AmbiguousError(Exception):
    pass


def merged(below: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings key by key, anything else replaced; neither is changed."""
    result = dict(below)
    for key, value in over.items():
        former = result.get(key)
        both = isinstance(former, dict) and isinstance(value, dict)
        result[key] = merged(former, value) if both else value  # type: ignore[arg-type]
    return result


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


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        value = value[part]
    return value


def _is_in(value: Any, path: KeyPath) -> bool:
    try:
        _at(value, path)
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        below = [item.values() if isinstance(item, dict) else item for item in level]
        level = [item for items in below for item in items if isinstance(item, dict | list)]
    return depth


def _typed(text: str) -> Any:
    """As the same text would be read in the file: `5432` a number, `[…]` and `{…}` and `"…"` as JSON."""
    if text[:1] in ("[", "{", '"') and not text.startswith("{{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return scalar(text) if text else text
