"""A profile out of the configuration: each target's plugin writes its own output.

A target whose plugin is missing, raises or answers something that cannot stand in a `profiles.yml` has no
output here but a problem; what the file already says about it is then kept.
"""

from __future__ import annotations

import math
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.env_references import variables_in
from floe_monitor.domain.events import ProfileGenerated
from floe_monitor.registry.foreign_plugin import clean_text, describe_error

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import ProfileSettings

_MASK = re.compile(r"\*{10}")
"""What pydantic prints for a secret: an output that holds it would never work."""
_LONG = 8
"""A secret this long is looked for inside longer text too; a shorter one only as a whole value."""
_MAX_DEPTH = 50


class OutputError(Exception):
    """An output that must not be written. The message names the place and never a value."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One profile as the configuration wants it. `outputs` and `problems` together hold all its outputs, by
    the names dbt has for them.

    `fixed_default` says that the configuration itself names the default output; `prune`, that nothing else
    may stand in the profile.
    """

    name: str
    default: str
    order: tuple[str, ...]
    outputs: Mapping[str, dict[str, Any]]
    problems: Mapping[str, str] = field(default_factory=dict)
    fixed_default: bool = False
    prune: bool = False
    is_set: Callable[[str], bool] = field(default=lambda _: True, compare=False)
    """Whether an environment variable has a value that the monitor knows, now."""

    def over(self, existing: Any) -> dict[str, Any]:
        """The configuration's part, with the outputs that could not be rendered taken from `existing`.

        Raises `OutputError` where that leaves none.
        """
        there = existing.get("outputs") if isinstance(existing, dict) else None
        kept = there if isinstance(there, dict) else {}
        outputs = {}
        for name in self.order:
            if name in self.outputs:
                outputs[name] = self.outputs[name]
            elif isinstance(kept.get(name), dict):
                outputs[name] = kept[name]
        if not outputs:
            raise OutputError(self.problem_text(existing) or "it has no targets")
        return {"target": self.default, "outputs": outputs}

    def problem_text(self, existing: Any) -> str:
        """What is not as configured, and what became of it; empty where all is well."""
        there = existing.get("outputs") if isinstance(existing, dict) else None
        texts = []
        for name, problem in self.problems.items():
            fate = "kept as the file has it" if isinstance(there, dict) and name in there else "left out"
            texts.append(f"output {name!r} {fate}: {problem}")
        return "; ".join(texts)


def render(
    profile: ProfileSettings,
    targets: Mapping[str, Target],
    *,
    publish: Publish,
    secrets: Mapping[str, Collection[str]],
    is_set: Callable[[str], bool] = lambda _: True,
    clock: Callable[[], float] = time.perf_counter,
) -> Rendered:
    """Ask every target's plugin for its output. Never raises for a plugin's sake.

    `secrets` holds each target's credentials as they are now: an output that contains one is refused.
    """
    outputs: dict[str, dict[str, Any]] = {}
    problems: dict[str, str] = {}
    order = []
    for name in profile.targets if profile.targets is not None else targets:
        output = targets[name].output_name if name in targets else name
        order.append(output)
        try:
            if name not in targets:
                raise OutputError("there is no such target")  # noqa: TRY301 - one place turns it into a problem
            outputs[output] = _output(targets[name], publish, secrets.get(name, ()), clock)
        except OutputError as error:
            problems[output] = str(error)
    default = profile.target or (order[0] if order else "")
    return Rendered(
        profile.name,
        default,
        tuple(order),
        outputs,
        problems,
        fixed_default=profile.target is not None,
        prune=profile.prune,
        is_set=is_set,
    )


def _output(
    target: Target, publish: Publish, secrets: Collection[str], clock: Callable[[], float]
) -> dict[str, Any]:
    plugin = target.entry.plugin
    if plugin is None or target.profile_config is None:
        raise OutputError(target.entry.problem or "its plugin cannot be used")
    started = clock()
    try:
        generated: Any = plugin.generate_dbt_profile(target.profile_config.model_copy(deep=True))
    except BaseException as error:  # noqa: BLE001 - the plugin's code: even SystemExit must not end the writer
        raise OutputError(f"the plugin failed: {describe_error(error, Redactor(secrets))}") from None
    finally:
        publish(ProfileGenerated(target.plugin_name, clock() - started))
    if not isinstance(generated, dict) or not generated:
        raise OutputError("the plugin returned no mapping")
    settings = target.settings
    without = settings.output_without or ()
    written = {key: item for key, item in generated.items() if key not in without}
    output: dict[str, Any] = _plain(written | (settings.output_keys or {}), "", 0)
    if not isinstance(output.get("type"), str):
        raise OutputError("the plugin's output has no `type`")
    _refuse_leaks(output, target, secrets)
    return output


def _plain(value: Any, place: str, depth: int) -> Any:
    """`value` as what YAML knows by itself. Tuples become lists, subclasses of str and int themselves."""
    if depth > _MAX_DEPTH:
        raise OutputError(f"{place} is nested too deeply")
    match value:
        case None | bool():
            return value
        case str():
            return _plain_text(str.__str__(value), place)
        case int():
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case list() | tuple():
            return [_plain(item, f"{place}[{index}]", depth + 1) for index, item in enumerate(value)]
        case dict():
            return {
                _plain_key(key, place): _plain(
                    item, f"{place}.{clean_text(key, limit=60)}".lstrip("."), depth + 1
                )
                for key, item in value.items()
            }
    raise OutputError(f"{place} is a {type(value).__name__}, which is not a plain YAML value")


def _plain_key(key: Any, place: str) -> str:
    if not isinstance(key, str):
        raise OutputError(f"{place or 'the output'} has a key that is not text")
    return _plain_text(str.__str__(key), place)


def _plain_text(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise OutputError(f"{place} is not valid Unicode") from None
    if _MASK.search(text):
        raise OutputError(f"{place} holds a masked secret instead of its env_var")
    return text


def _refuse_leaks(output: dict[str, Any], target: Target, secrets: Collection[str]) -> None:
    """What the configuration itself says openly is no leak, even where a password happens to equal it."""
    extra = target.settings.model_extra or {}
    said = {
        str(leaf) for _, leaf in _leaves([target.settings.connection, target.settings.output_keys, extra], "")
    }
    expressions = _expressions(target)
    for place, leaf in _leaves({key: value for key, value in output.items() if key != "type"}, ""):
        text = str(leaf)
        if text in said:
            continue
        for expression in expressions:
            text = text.replace(expression, "")
        for secret in secrets:
            if (isinstance(leaf, str) and secret == text) or (len(secret) >= _LONG and secret in text):
                raise OutputError(f"{place} would hold a credential's value instead of its env_var")


def _expressions(target: Target) -> set[str]:
    """The `env_var` expressions the plugin was given, which name a credential without being one."""
    config = target.profile_config
    if config is None:
        return set()
    leaves = _leaves([config.connection, config.model_extra or {}], "")
    given = {leaf for _, leaf in leaves if isinstance(leaf, str) and variables_in(leaf)}
    return given | {value.get_secret_value() for value in config.credentials.values()}


def _leaves(value: Any, place: str) -> list[tuple[str, Any]]:
    match value:
        case dict():
            return [
                found for key, item in value.items() for found in _leaves(item, f"{place}.{key}".lstrip("."))
            ]
        case list():
            return [found for index, item in enumerate(value) for found in _leaves(item, f"{place}[{index}]")]
    return [(place, value)]
