"""What of a profile belongs to the monitor: what it may change or remove, and what stays.

The monitor never removes what it did not write. It wrote an output where its record names it and the output
still has the text that was recorded. A configured output becomes the monitor's with the first write.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.profiles.merge import Existing, MergeRefusedError, output_texts
from floe_monitor.profiles.yaml_text import equal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.profiles.render import Rendered

_DBT_DEFAULT = "default"
"""The output that dbt takes where a profile has no `target`."""
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Claims:
    """What the monitor wrote in one profile: each output's `digest`, and `target` where it set that."""

    outputs: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None


NO_CLAIMS = Claims()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the profile should become. `stays`: outputs of the file that the configuration does not have.

    `adopts` says that something is changed that the file had and the monitor is not known to have written.
    """

    profile: dict[Any, Any]
    stays: tuple[Any, ...] = ()
    adopts: bool = False


def digest(text: str) -> str:
    """Of an output's text. Line ends do not count: version control changes them."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def decide(
    existing: Existing, rendered: Rendered, claims: Claims | None, *, may_remove: bool = True
) -> Wanted:
    """`claims` is None where no record has this profile; without `may_remove` they permit nothing.

    Raises `OutputError` where no configured output is left, and `MergeRefusedError` where what stands in the
    profile's place is no profile.
    """
    alone, own = rendered.over(existing.own), existing.own
    if own is None:
        return Wanted(alone)
    if rendered.prune:
        return Wanted(alone, adopts=claims is None)
    there = _outputs(own, existing.name)
    claimed = claims or NO_CLAIMS
    gone = _written_before(existing, there, rendered, claimed) if may_remove else set()
    kept = [name for name in there if name not in gone]
    outputs = {name: alone["outputs"].get(name, there[name]) for name in kept}
    outputs |= {name: value for name, value in alone["outputs"].items() if name not in outputs}
    profile = {**own, "outputs": outputs}
    target = _target(own, rendered, outputs, claimed)
    if target is not _ABSENT:
        profile = {"target": target} | profile | {"target": target}
    stays = tuple(name for name in kept if name not in rendered.order)
    return Wanted(profile, stays, claims is None or _overwrites(own, profile, claims))


def claims_after(existing: Existing, after: Existing, rendered: Rendered, claims: Claims | None) -> Claims:
    """What is the monitor's once `after` is written: every output that is as configured.

    One that could not be rendered is what it was.
    """
    before, texts = claims or NO_CLAIMS, output_texts(after)
    outputs = {name: before.outputs[name] for name in rendered.problems if name in before.outputs}
    outputs |= {name: digest(texts[name]) for name in rendered.outputs if name in texts}
    old, new = _get(existing.own, "target"), _get(after.own, "target")
    set_by_us = isinstance(new, str) and (new == before.target or not equal(old, new))
    return Claims(outputs, new if set_by_us else None)


def _outputs(own: Any, name: str) -> dict[Any, Any]:
    if not isinstance(own, dict):
        raise MergeRefusedError(f"profile {name!r} in the file is no mapping")
    outputs = own.get("outputs")
    if outputs is not None and not isinstance(outputs, dict):
        raise MergeRefusedError(f"`outputs` of profile {name!r} in the file is no mapping")
    return outputs or {}


def _written_before(
    existing: Existing, there: Mapping[Any, Any], rendered: Rendered, claims: Claims
) -> set[Any]:
    """The outputs that the monitor wrote, that are as it wrote them, and that are configured no more."""
    texts = output_texts(existing)
    return {
        name
        for name, recorded in claims.outputs.items()
        if name in there and name not in rendered.order and name in texts and digest(texts[name]) == recorded
    }


def _target(own: Mapping[Any, Any], rendered: Rendered, outputs: Mapping[Any, Any], claims: Claims) -> Any:
    """The file's own default stays, and so does that it has none, unless the configuration names one.

    It goes where the monitor set it, or where the output that it named goes.
    """
    if rendered.fixed_default:
        return rendered.default
    there, before = own.get("target", _ABSENT), own.get("outputs") or {}
    if isinstance(there, str) and "{{" in there:
        return there
    named = _DBT_DEFAULT if there is _ABSENT else there
    if not isinstance(named, str | int):
        return there if before else rendered.default
    if there == claims.target or (named not in outputs and (not before or named in before)):
        return rendered.default
    return there


def _overwrites(own: Mapping[Any, Any], wanted: Mapping[Any, Any], claims: Claims) -> bool:
    """Whether an entry without a claim gets another value."""
    there, new = own.get("outputs") or {}, wanted["outputs"]
    if any(name not in claims.outputs and not equal(there[name], new[name]) for name in there if name in new):
        return True
    return claims.target is None and "target" in own and not equal(own["target"], wanted.get("target"))


def _get(own: Any, key: str) -> Any:
    return own.get(key) if isinstance(own, dict) else None
