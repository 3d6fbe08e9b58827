"""Which shard watches which target: rendezvous hashing, from the configuration alone.

Each shard has a score for each target, and those with the highest scores watch it. A target added or removed
moves no other; one shard more or less moves only what the new one gets or the lost one had, and of a target
on several shards one at most.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.settings.shard_models import ShardVariable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.settings.shard_models import ShardSettings

PROFILE_OWNER = 0
"""The shard that keeps the profiles: there is one whatever the count, and it stays the same."""
_ORDINAL = re.compile(r"(?:^|-)(?P<number>0|[1-9][0-9]{0,8})$")


class ShardIndexError(Exception):
    """This monitor's ordinal is missing or cannot be right."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count`; `replicas` of them watch each target."""

    index: int
    count: int
    replicas: int

    def watches(self, target: str) -> bool:
        scores = _scores(target, self.count)
        mine = scores[self.index]
        # As `assigned` sorts them, without the sorting: this is asked for every target at every reload.
        rank = sum(map(mine.__lt__, scores)) + scores[: self.index].count(mine)
        return rank < self.replicas

    @property
    def keeps_profiles(self) -> bool:
        return self.index == PROFILE_OWNER

    def __str__(self) -> str:
        return f"shard {self.index} of {self.count}"


def assigned(target: str, count: int, replicas: int) -> tuple[int, ...]:
    """The shards that watch a target, that with the highest score first."""
    scores = _scores(target, count)
    # Reversed, sorting keeps the order of equal ones still.
    return tuple(sorted(range(count), key=scores.__getitem__, reverse=True)[:replicas])


def resolve(settings: ShardSettings, environ: Mapping[str, str], hostname: str) -> Shard:
    """Which shard this monitor is. Raises `ShardIndexError`."""
    index = settings.index
    if isinstance(index, int):
        number, said = index, f"the index {index}"
    elif isinstance(index, ShardVariable):
        number, said = _ordinal_of(environ, index.env)
    else:
        name = hostname.partition(".")[0]
        found = _ORDINAL.search(name)
        if found is None:
            raise ShardIndexError(f"the host name {name[:128]!r} does not end in `-` and a number")
        number, said = int(found["number"]), f"the ordinal of the host name {name[:128]!r}"
    if number >= settings.count:
        raise ShardIndexError(
            f"{said} is too high: with shard.count {settings.count} the last is {settings.count - 1}"
        )
    return Shard(number, settings.count, settings.replicas)


def _ordinal_of(environ: Mapping[str, str], variable: str) -> tuple[int, str]:
    """Its value stays out of messages: a wrong name could be that of a secret."""
    if variable not in environ:
        raise ShardIndexError(f"the environment variable {variable} is not set")
    found = _ORDINAL.search(environ[variable].strip())
    if found is None:
        raise ShardIndexError(
            f"the environment variable {variable} holds no number, nor a name that ends in `-` and one"
        )
    return int(found["number"]), f"the ordinal in the environment variable {variable}"


def _scores(target: str, count: int) -> tuple[int, ...]:
    """One for each shard. An extendable output: the first `n` are the same for every count from `n` on."""
    words: tuple[int, ...] = struct.unpack(
        f">{count}Q", hashlib.shake_128(target.encode("utf-8", "surrogatepass")).digest(8 * count)
    )
    return words
