"""One output of a profiles.yml as a target that writes this very output again.

The plugin reads the output into the keys of a target; the target is checked as `config check` checks it, and
has its output written. What then differs from the file is kept word for word in `output_keys` and
`output_without`: dbt's profile stays as it is, whatever the monitor's own defaults and ranges are.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.profile_document import Unquoted
from floe_monitor.compute.errors import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import UnknownKeysError
from floe_monitor.compute.toolkit.env_references import (
    ExpressionError,
    UnresolvedError,
    expression_for,
    is_template,
    parse_expression,
    sole_variable,
)
from floe_monitor.compute.validation_messages import UNKNOWN_KEY
from floe_monitor.credentials.references import as_reference
from floe_monitor.domain.targets import build_targets
from floe_monitor.profiles.render import render
from floe_monitor.profiles.yaml_text import equal
from floe_monitor.registry import foreign_plugin
from floe_monitor.registry.config_validation import may_be_blank
from floe_monitor.registry.problems import Problem, dotted
from floe_monitor.settings.models import ProfileSettings, Settings, TargetSettings
from floe_monitor.settings.problems import ConfigurationError
from floe_monitor.settings.secret_lint import find_literals

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.domain.targets import Target
    from floe_monitor.registry.discovery import PluginRegistry
    from floe_monitor.registry.problems import KeyPath

_DECIDING = ("type", "method", "authenticator")
"""Keys that say what else is needed: their expressions are evaluated, for the monitor alone."""
_LEAST_THREADS, _MOST_THREADS = 1, 64
_DBT_THREADS = 1
_MOST_ROUNDS = 50
_MOST_NAMED = 20


class RefusedError(Exception):
    """The output cannot be a target. The message says why and repeats no value."""


class OutputImport:
    """Reads outputs, by the plugins there are and the environment that expressions are evaluated in."""

    def __init__(self, registry: PluginRegistry, environ: Mapping[str, str]) -> None:
        self._registry = registry
        self._environ = environ
        self._settings = Settings.model_validate({})

    def target(self, name: str, key: str, output: dict[Any, Any]) -> tuple[dict[str, Any], list[str]]:
        """The keys of a target `name` for the output called `key`, which holds no literal secret any more,
        and what there is to say about it. Raises `RefusedError`.
        """
        _refuse_odd(output)
        given, notes = self._given(output)
        try:
            fields, more = self._imported(name, key, output, given)
        except RefusedError as refused:
            fields, more = self._without_blank(name, key, output, given, refused)
        for credential, reference in fields.get("credentials", {}).items():
            if credential in output and sole_variable(output[credential]) == (reference.get("env"), ""):
                notes.append(
                    f"{credential}: the monitor needs {reference['env']} to be set, whatever its default is"
                )
        return fields, [*notes, *more]

    def _imported(
        self, name: str, key: str, output: dict[Any, Any], given: dict[str, Any]
    ) -> tuple[dict[str, Any], list[str]]:
        kept = dict.fromkeys(each for each, value in given.items() if _holds_reference(value))
        given = {each: value for each, value in given.items() if each not in kept}
        own = {"plugin": given["type"], **({} if name == key else {"output": key})}
        fields = {**own, **self._read(given, kept)}
        target = self._checked(name, fields, kept)
        written = _written(target)
        if keys := {k: item for k, item in output.items() if k not in written or not equal(item, written[k])}:
            fields["output_keys"] = keys
        if without := [k for k in written if k not in output]:
            fields["output_without"] = without
        if (keys or without) and not equal(_written(self._checked(name, fields, {})), output):
            raise RefusedError("a target cannot write it again as it is")
        if not kept:
            return fields, []
        names = [*kept][:_MOST_NAMED]
        more = f" and {len(kept) - len(names)} more" if len(kept) > len(names) else ""
        return fields, [f"{', '.join(names)}{more}: not for the monitor; kept in the profile as it is"]

    def _without_blank(
        self, name: str, key: str, output: dict[Any, Any], given: dict[str, Any], refused: RefusedError
    ) -> tuple[dict[str, Any], list[str]]:
        """The same without expressions that come to nothing now, as of a password beside a key pair: to dbt
        such a key is unset. Raises `refused` where that does not help.
        """
        blank = [each for each, value in output.items() if self._is_blank(value) and each != "type"]
        credentials = self._credential_keys(given["type"])
        for chosen in ([each for each in blank if each not in credentials], blank):
            if not chosen:
                continue
            rest = {each: value for each, value in given.items() if each not in chosen}
            try:
                fields, notes = self._imported(name, key, output, rest)
            except RefusedError:
                continue
            return fields, [*notes, f"{', '.join(chosen)}: nothing now, and so left out for the monitor"]
        raise refused

    def _is_blank(self, value: Any) -> bool:
        if not isinstance(value, str) or not is_template(value):
            return False
        try:
            return bool(parse_expression(value).evaluate(self._environ) == "")
        except (ExpressionError, UnresolvedError):
            return False

    def _given(self, output: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The output for the plugin: what decides and `threads` as values, passwords without default."""
        given, notes = copy.deepcopy(dict(output)), []
        for key in _DECIDING:
            value = given.get(key)
            if isinstance(value, str) and is_template(value):
                given[key] = self._evaluated(key, value)
                notes.append(f"{key} is an expression: the monitor takes what it comes to now")
            if key == "type":
                if not isinstance(given["type"], str):
                    raise RefusedError("it has no type")
                credentials = self._credential_keys(given["type"])
        given["threads"] = self._threads(given.get("threads", _DBT_THREADS))
        for key in credentials:
            sole = sole_variable(given.get(key))
            if sole is not None and sole[1] == "":
                given[key] = expression_for(sole[0])
        return given, notes

    def _plugin(self, name: str) -> ComputePlugin[Any]:
        entry = self._registry.get(name)
        if entry.plugin is None:
            raise RefusedError(entry.problem or f"the {name} plugin cannot be used")
        return entry.plugin

    def _credential_keys(self, plugin: str) -> tuple[str, ...]:
        return tuple(getattr(self._plugin(plugin), "credential_keys", ()))

    def _threads(self, value: Any) -> int:
        """As the monitor has it: within its range, and a number."""
        if isinstance(value, str):
            value = self._evaluated("threads", value)
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
            raise RefusedError("threads is no whole number") from None
        return min(max(number, _LEAST_THREADS), _MOST_THREADS)

    def _evaluated(self, key: str, text: str) -> Any:
        if not is_template(text):
            return text
        try:
            return parse_expression(text).evaluate(self._environ)
        except (ExpressionError, UnresolvedError) as error:
            raise RefusedError(f"{key}: {error}") from None

    def _read(self, given: dict[str, Any], kept: dict[str, None]) -> dict[str, Any]:
        """By the plugin, without the keys that dbt's adapter has no use for; those go to `kept`."""
        plugin = self._plugin(given["type"])
        for _ in range(_MOST_ROUNDS):
            try:
                return foreign_plugin.import_dbt_output(plugin, given)
            except UnknownKeysError as error:
                unknown = [key for key in error.keys if key in given]
                if not unknown:
                    raise RefusedError(_first_line(error)) from None
                kept.update(dict.fromkeys(unknown))
                for key in unknown:
                    del given[key]
            except ComputeConfigurationError as error:
                raise RefusedError(_first_line(error)) from None
            except Exception as error:  # noqa: BLE001 - the plugin's code
                raise RefusedError(f"the plugin failed: {type(error).__name__}") from None
        raise RefusedError("it has too many keys that the plugin does not know")

    def _checked(self, name: str, fields: dict[str, Any], kept: dict[str, None]) -> Target:
        """The target, as `config check` would have it.

        Unknown keys within `connection`, and blank ones that the plugin's model refuses and dbt takes for
        unset, are taken out of `fields`; raises `RefusedError` for whatever else is wrong.
        """
        for _ in range(_MOST_ROUNDS):
            try:
                # Made out of a whole configuration once: that costs more than all the rest.
                settings = self._settings.model_copy(
                    update={"targets": {name: TargetSettings.model_validate(fields)}}
                )
                problems = [*_literals(name, fields)]
                targets = build_targets(settings, self._registry, environ=self._environ)
            except ConfigurationError as error:
                problems += error.problems
            except ValueError:
                raise RefusedError("it gives no valid target") from None
            if not problems:
                return targets[name]
            plugin = self._plugin(fields["plugin"])
            serious = [found for found in problems if not _is_removable(found, fields, plugin)]
            if serious:
                raise RefusedError("; ".join(_text(found) for found in serious))
            for path in (found.path[2:] for found in problems):
                _remove(fields, path)
                kept[dotted(path[1:])] = None
        raise RefusedError("it has too many keys that the plugin does not know")


def refusal_of_profile(name: str) -> str | None:
    """Why no configuration can name this profile, as `config check` would say it."""
    try:
        ProfileSettings(name=name, path="profiles.yml")
    except ValueError:
        return "its name can be that of no profile: give it another"
    found = next(iter(find_literals({"profiles": [{"name": name}]})), None)
    return None if found is None else "its name holds a secret: give it another"


def _literals(name: str, fields: dict[str, Any]) -> Iterator[Problem]:
    for found in find_literals({"targets": {name: fields}}):
        yield Problem(None, found.message, found.path, found.hint)


def _is_removable(problem: Problem, fields: Any, plugin: ComputePlugin[Any]) -> bool:
    path = problem.path[2:]
    if path[:1] != ("connection",) or len(path) < 2:
        return False
    value = _at(fields, path)
    blank = len(path) == 2 and value == "" and may_be_blank(plugin, str(path[1]))
    return blank or (value is not None and problem.message == UNKNOWN_KEY)


def _at(value: Any, path: KeyPath) -> Any:
    for part in path:
        keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part not in keys:
            return None
        value = value[part]
    return value


def _holds_reference(value: Any) -> bool:
    """Whether a mapping in it, `{file: report.xlsx}`, would be a reference in a configuration."""
    if isinstance(value, dict):
        return as_reference(value) is not None or any(map(_holds_reference, value.values()))
    return isinstance(value, list) and any(map(_holds_reference, value))


def _remove(fields: dict[str, Any], path: KeyPath) -> None:
    parent = _at(fields, path[:-1])
    if isinstance(parent, dict):
        parent.pop(path[-1], None)


def _text(problem: Problem) -> str:
    path = problem.path[2:]
    where = dotted(path[1:] if path[:1] in (("connection",), ("credentials",)) else path)
    text = f"{where}: {problem.message}" if where else problem.message
    return f"{text}; {problem.hint}" if problem.hint else text


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return foreign_plugin.clean_text(lines[0] if lines else type(error).__name__, limit=300)


def _written(target: Target) -> dict[str, Any]:
    profile = ProfileSettings(name="import", path="profiles.yml")
    rendered = render(profile, {target.name: target}, publish=lambda _: None, secrets={})
    for problem in rendered.problems.values():
        raise RefusedError(problem.removeprefix("the plugin failed: "))
    return dict(rendered.outputs[target.output_name])


def _refuse_odd(value: Any, path: KeyPath = ()) -> None:
    """What dbt's own checks refuse, and no configuration can hold."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or isinstance(key, Unquoted):
                raise RefusedError(f"{dotted(path) or 'it'} has a key that is no text: put it in quotes")
            _refuse_odd(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_odd(item, (*path, index))
    elif isinstance(value, Unquoted):
        raise RefusedError(f"{dotted(path)} is a date or a number to YAML: put it in quotes")
