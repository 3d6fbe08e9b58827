"""A server that runs in a directory of its own while it is used: a process that is killed then."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from pathlib import Path


class ServerProcess(ABC):
    start_seconds: ClassVar[float] = 40.0
    """How long it may take to serve."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # told to end while it starts, say: nothing may stay behind
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    @abstractmethod
    def command(self) -> list[str]: ...

    @property
    @abstractmethod
    def variables(self) -> dict[str, str]: ...

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it serves."""

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def start(self) -> None:
        """Returns once it serves; `RuntimeError` with the end of its log where it does not."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start it, without waiting until it serves."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                cwd=self._folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until one that was launched serves; raises as `start` does."""
        give_up = time.monotonic() + self.start_seconds
        while not self.is_ready():
            if self._process is None or self._process.poll() is not None or time.monotonic() > give_up:
                tail = self._log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.command[0]} does not start:\n{tail}")
            time.sleep(0.1)

    def stop(self) -> None:
        """At once: an orderly end may take ten seconds, and the data are thrown away."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None
