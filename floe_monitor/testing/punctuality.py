"""Whether something ended in time, as distinct from a machine that is late with everything.

A test that compares wall time with a constant fails on a busy machine, and says nothing about what it
tests. `Control` is a process that has the same deadline, and some milliseconds of computing to do after it:
by how much the machine stretches that, the margin is widened. On a quiet machine the stretch is 1 and the
margin is the margin. It is a process, so that code that holds the interpreter's lock does not excuse
itself.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROCESS = Path(__file__).with_name("control_process.py")
_COMPUTING = 0.1
_PART = 0.2
"""Seconds of computing that are taken to be in what is timed, at least, and the part of its margin that is.
So much is stretched, and twice: something with several threads is delayed more than one control."""
_PATIENCE = 30.0


class Control:
    """Starts with `with`; one serves any number of threads, and leaves no thread behind in this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="control-")
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_PROCESS), self._folder.name], stdin=subprocess.PIPE, cwd="/"
        )
        return self

    def __exit__(self, *_: object) -> None:
        """Twice is once."""
        process, folder, self._process, self._folder = self._process, self._folder, None, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(_PATIENCE)
        if folder is not None:
            folder.cleanup()

    @contextlib.contextmanager
    def within(self, seconds: float, margin: float = 0.1) -> Iterator[None]:
        """Raises `AssertionError` when the block takes longer than `seconds` + `margin`, as widened.

        `seconds` is what it may wait for, such as a probe's timeout, `margin` what it may compute beyond.
        """
        deadline = time.monotonic() + seconds
        timing = self.begin(deadline)
        try:
            yield
        except BaseException:
            self.drop(timing)
            raise
        late = time.monotonic() - deadline
        if late <= margin:
            self.drop(timing)
            return
        allowed = self.allowed(timing, margin)
        assert late <= allowed, (  # noqa: S101 - this is for tests
            f"{late:.3f} s beyond {seconds:g} s, where {allowed:.3f} s were allowed: "
            f"{margin:g} s, widened by how late something else was at that time"
        )

    def begin(self, deadline: float) -> str:
        """A deadline (by `time.monotonic`) that the control has too; its name, for one of the next two."""
        name = f"{deadline:.9f}-{os.urandom(4).hex()}"
        self._send(f"begin {name} {deadline}")
        return name

    def drop(self, timing: str) -> None:
        """It was kept: nothing needs to be known."""
        self._send(f"drop {timing}")

    def allowed(self, timing: str, margin: float) -> float:
        """Seconds after the deadline that `margin` comes to on this machine, now. Not before the deadline."""
        self._send(f"answer {timing}")
        return margin + 2 * max(_COMPUTING, _PART * margin) * (self._answer(timing) - 1)

    def _send(self, words: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("use `with Control() as control`")
        os.write(self._process.stdin.fileno(), f"{words}\n".encode())  # short enough never to be mixed up

    def _answer(self, name: str) -> float:
        if self._folder is None:
            raise RuntimeError("use `with Control() as control`")
        path = Path(self._folder.name, name)
        give_up = time.monotonic() + _PATIENCE
        while not path.exists():
            if time.monotonic() > give_up:
                raise RuntimeError("the control process gave no answer")
            time.sleep(0.005)
        text = path.read_text()
        path.unlink()
        return float(text)


@cache
def shared_control() -> Control:
    """One for this process, ended with it."""
    control = Control().__enter__()
    atexit.register(control.__exit__)
    return control
