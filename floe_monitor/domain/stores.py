"""A store of told and unsent notifications: rows of JSON by key, read once and written in transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


class StoreError(Exception):
    """It cannot be read or written now; the text says why and what to do, without any secret."""


class StoreTakenError(StoreError):
    """Another monitor has it, and sends."""


class Store(Protocol):
    """For one thread at a time. Whatever it raises is a `StoreError`; it is then closed and opened anew."""

    name: str
    """Where it is, for people."""
    settling: float
    """Seconds after `open` before anything is sent: by then whoever had it before has noticed."""
    patience: float
    """Seconds after its loss before it is done without: by then another that can reach it has it."""

    def open(self) -> dict[str, Any]:
        """Be the only one who has it; all rows. `StoreTakenError` where another has it."""

    def check(self) -> None:
        """Raises where it was lost, be there nothing to write."""

    def write(self, put: Mapping[str, Any], gone: Collection[str]) -> None:
        """In one transaction, which outlives a power cut."""

    def replace(self, rows: Mapping[str, Any]) -> None:
        """All rows, in one transaction."""

    def close(self) -> None:
        """Never raises, and does not wait; another may have it then."""
