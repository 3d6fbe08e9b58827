"""Answers by which a server says that it works with a limitation, or not at this moment."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute.checks import Check, Failure


@contextmanager
def degrade_by(limitation: Callable[[Exception], Failure | None], check: Check) -> Iterator[None]:
    """Degrade `check` where `limitation` knows an exception of the body; any other is raised as it is."""
    try:
        yield
    except Exception as error:
        found = limitation(error)
        if found is None:
            raise
        check.degrade(found.message, found.error_type)
