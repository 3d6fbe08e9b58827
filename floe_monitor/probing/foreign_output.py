"""Keeps what plugins print out of the monitor's own output: it may hold a credential, and stdout is a report.

Python code is caught at `sys.stdout` and `sys.stderr`. What native code writes to the descriptors below is
not: closing those would lose what an aborting interpreter has to say. A worker process has neither.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO, cast

from floe_monitor.compute.redaction.current import current_redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPORT_EVERY = 60.0
"""Seconds between two reports of output that was withheld."""
NAMES = ("stdout", "stderr", "__stdout__", "__stderr__")


class Withheld:
    """How much was withheld. `report` gets the count, at once, then every minute at most; from any thread."""

    def __init__(self, report: Callable[[int], None] | None = None) -> None:
        self.count = 0
        """Characters or bytes."""
        self._report = report
        self._reported_at = float("-inf")
        self._lock = threading.Lock()

    def add(self, length: int) -> int:
        with self._lock:
            self.count += length
            now = time.monotonic()
            due = self._report is not None and length > 0 and now - self._reported_at >= REPORT_EVERY
            if due:
                self._reported_at = now
        if due and self._report is not None:
            self._report(self.count)
        return length


class _Guarded:
    """A stream that takes what a plugin writes and does nothing with it."""

    def __init__(self, stream: Any, withheld: Withheld, is_foreign: Callable[[], bool]) -> None:
        self._stream, self._withheld, self._is_foreign = stream, withheld, is_foreign

    def write(self, text: Any) -> int:
        if self._is_foreign():
            return self._withheld.add(len(text))
        return cast("int", self._stream.write(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> _Guarded:
        return _Guarded(self._stream.buffer, self._withheld, self._is_foreign)

    @property
    def raw(self) -> _Guarded:
        return _Guarded(self._stream.raw, self._withheld, self._is_foreign)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def withholding_output(
    report: Callable[[int], None] | None = None, *, of_everyone: bool = False
) -> Iterator[Withheld]:
    """Withhold what plugins print in validations; with `of_everyone`, what anybody prints.

    A driver's own threads are known by nothing; the daemon withholds all: its log goes past the streams.
    """
    withheld = Withheld(report)
    former: dict[str, TextIO | None] = {name: getattr(sys, name) for name in NAMES}

    def is_foreign() -> bool:
        return of_everyone or current_redactor() is not None

    guarded = {
        name: _Guarded(stream, withheld, is_foreign) for name, stream in former.items() if stream is not None
    }
    for name, stream in guarded.items():
        setattr(sys, name, stream)
    try:
        yield withheld
    finally:
        for name, stream in guarded.items():
            if getattr(sys, name) is stream:
                setattr(sys, name, former[name])
