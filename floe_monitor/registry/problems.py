"""What is wrong with a configuration, and where: one line a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.redaction.detection import secrets_in
from floe_monitor.compute.redaction.redactor import MASK

if TYPE_CHECKING:
    from collections.abc import Sequence

KeyPath = tuple[str | int, ...]


def dotted(path: Sequence[str | int]) -> str:
    """A path as people write it, for messages: `connection.attach[0].path`.

    Without the secrets in a key: `{password=…}`, for one, is a key without a value.
    """
    text = ""
    for part in path:
        text += (
            f"[{part}]"
            if isinstance(part, int)
            else f".{_without_secrets(part)}"
            if text
            else _without_secrets(part)
        )
    return text


def _without_secrets(key: str) -> str:
    for secret in secrets_in(key):
        key = key.replace(secret, MASK)
    return key


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1; 0 where only the file is known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. Its text never repeats a value: any value may be a secret in the wrong place.

    `path` leads from the whole configuration; from the target where the target alone is known, and then
    there is no place yet.
    """

    place: Place | None
    message: str
    path: KeyPath = ()
    hint: str = ""

    @property
    def file(self) -> str:
        return self.place.file if self.place else ""

    @property
    def line(self) -> int:
        return self.place.line if self.place else 0

    @property
    def column(self) -> int:
        return self.place.column if self.place else 0

    def __str__(self) -> str:
        where = dotted(self.path)
        text = f"{where}: {self.message}" if where else self.message
        text += f"; {self.hint}" if self.hint else ""
        return f"{self.place}: {text}" if self.place else text
