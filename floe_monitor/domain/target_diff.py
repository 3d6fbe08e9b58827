"""What a new configuration changes: targets compared by fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.domain.targets import Target


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of targets, each in the order of its configuration."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()


def diff(old: Mapping[str, Target], new: Mapping[str, Target]) -> Changes:
    """What `new` changes; targets are compared by fingerprint."""
    kept = [name for name in new if name in old]
    return Changes(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in kept if old[name].fingerprint != new[name].fingerprint),
        removed=tuple(name for name in old if name not in new),
        unchanged=tuple(name for name in kept if old[name].fingerprint == new[name].fingerprint),
    )
