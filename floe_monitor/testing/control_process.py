"""The process of `punctuality.Control`: has the deadlines it is given, and computes once one has passed.

Each line of its input is `begin NAME DEADLINE`, `drop NAME` or `answer NAME`; an answer is a file of that
name in the directory given, with the stretch in it: wall time by computing time, from the deadline on.
Needs the standard library alone, and little of it: it is to start within milliseconds.
"""

from __future__ import annotations

import os
import select
import sys
import time

_ROUND = 0.02
"""Seconds of computing that a stretch is measured by: longer than a scheduler's turn, less than margins."""
_SLICE = 0.002
_ENOUGH = 1.0
"""Seconds after a deadline in which stretches are measured: what hangs needs no core of ours."""


class _Deadline:
    __slots__ = ("asked", "computed", "due", "since", "stretch")

    def __init__(self, due: float) -> None:
        self.due = self.since = due
        self.computed = self.stretch = 0.0
        self.asked = False

    def is_measured(self, now: float) -> bool:
        """Whether nothing more is to be computed for it."""
        return self.stretch > 0 and now > self.due + _ENOUGH

    def add(self, seconds: float, now: float) -> None:
        """That much has been computed for it."""
        self.computed += seconds
        if self.computed >= _ROUND:
            self.stretch = max(self.stretch, (now - self.since) / self.computed)
            self.since, self.computed = now, 0.0


class _Deadlines:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._all: dict[str, _Deadline] = {}

    def obey(self, words: str) -> None:
        verb, name, *rest = words.split()
        if verb == "begin":
            self._all[name] = _Deadline(float(rest[0]))
        elif verb == "drop":
            self._all.pop(name, None)
        else:
            self._all[name].asked = True

    def wait(self) -> float | None:
        """Seconds until there is something to compute; None without a deadline."""
        now = time.monotonic()
        pauses = [each.due - now for each in self._all.values() if not each.is_measured(now)]
        return max(0.0, min(pauses)) if pauses else None

    def compute(self) -> None:
        """A slice, for all that are due and not yet measured; then the answers that can be given."""
        now = time.monotonic()
        late = [each for each in self._all.values() if each.due <= now and not each.is_measured(now)]
        if late:
            before = time.process_time()
            while (computed := time.process_time() - before) < _SLICE:
                pass
            now = time.monotonic()
            for each in late:
                each.add(computed, now)
        for name, each in list(self._all.items()):
            if each.asked and each.stretch:
                self._answer(name, each.stretch)
                del self._all[name]

    def _answer(self, name: str, stretch: float) -> None:
        part = os.path.join(self._folder, f"{name}.part")  # noqa: PTH118 - pathlib takes longer than the rest
        with open(part, "w") as file:  # noqa: PTH123 - likewise
            file.write(str(stretch))
        os.rename(part, part.removesuffix(".part"))  # noqa: PTH104 - likewise


def main(folder: str) -> None:
    deadlines, rest = _Deadlines(folder), b""
    while True:
        readable, _, _ = select.select([0], [], [], deadlines.wait())
        if readable:
            received = os.read(0, 65536)
            if not received:
                return
            *lines, rest = (rest + received).split(b"\n")
            for line in lines:
                deadlines.obey(line.decode())
        deadlines.compute()


if __name__ == "__main__":
    main(sys.argv[1])
