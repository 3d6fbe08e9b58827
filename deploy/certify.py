"""`make certify`: build and run the image of each set of engines, and write docs/images.md of what was seen.

The gate does so with `duckdb` alone. Each is run as its own user and as a random one in group 0, over a root
that cannot be written; its plugins must be usable, its health check pass, and SIGTERM end it in order.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from conformance.loopback_server import free_port
from deploy import distributions, images
from deploy.containers import Container, imports, volumes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PAGE = Path(__file__).resolve().parent.parent / "docs" / "images.md"
USERS = ((10001, 10001), (1_000_660_000, 0))
STARTS = 5
PATIENCE = 120.0
_TABLE = """<!-- made by make certify -->

| Engines | Size | Over the base | CPU of a start | Ready | Stopped | On |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Of the page's table. Sizes in bytes; seconds, the least of several starts, those of CPU until ready."""

    engines: str
    size: int
    base_size: int
    ready: float
    cpu: float
    stopped: float
    day: dt.date

    def __str__(self) -> str:
        size, over = self.size / 1e6, (self.size - self.base_size) / 1e6
        times = f"{self.cpu:.1f} | {self.ready:.1f} | {self.stopped:.1f}"
        return f"| `{self.engines}` | {size:.0f} | {over:.0f} | {times} | {self.day} |"


def certify(engines: str) -> Row:
    """Raises `SystemExit` with what was wrong."""
    image = images.built(engines)
    names = [*distributions.plugins()] if engines == "all" else engines.split()
    runs: list[tuple[float, float, float]] = []
    with images.mounted(image.name) as root:
        for user, group in (*USERS, *USERS[:1] * (STARTS - len(USERS))):
            with _daemon(image, root, user, group) as (container, port):
                ready, cpu = _until_ready(container, port)
                _expect_usable(container, names)
                if not runs:
                    _expect_whole(container)
                begun = time.monotonic()
                status = container.stop(PATIENCE)
                if status != 0:
                    raise SystemExit(f"{engines}: SIGTERM ended it with status {status}")
                runs.append((ready, cpu, time.monotonic() - begun))
    ready, cpu, stopped = map(min, zip(*runs, strict=True))  # other work on the machine only adds
    return Row(engines, image.size, image.base_size, ready, cpu, stopped, dt.datetime.now(dt.UTC).date())


@contextlib.contextmanager
def _daemon(image: images.Image, root: Path, user: int, group: int) -> Iterator[tuple[Container, int]]:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        mounts = volumes(root, Path(folder), {"http": {"host": "127.0.0.1", "port": port}})
        container = Container(image, root, user=user, group=group, volumes=mounts)
        container.start(Path(folder) / "log")
        try:
            yield container, port
        finally:
            container.kill()


def _until_ready(container: Container, port: int) -> tuple[float, float]:
    """Seconds, and those of CPU."""
    begun = time.monotonic()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        with contextlib.suppress(OSError), direct.open(f"http://127.0.0.1:{port}/readyz", timeout=5):
            break
        if time.monotonic() - begun > PATIENCE:
            raise SystemExit(f"not ready within {PATIENCE:g} s")
        time.sleep(0.02)
    ready = time.monotonic() - begun
    first = psutil.Process(container.process_1)
    used = [each.cpu_times() for each in (first, *first.children(recursive=True))]
    return ready, sum(each.user + each.system for each in used)


def _expect_usable(container: Container, names: Sequence[str]) -> None:
    """Its plugins with their drivers, and the health check."""
    done = container.run("floe-monitor", "plugins", "list", "--format", "json")
    found = {each["name"]: not each["problem"] and not each["lacking"] for each in json.loads(done.stdout)}
    if found != dict.fromkeys(names, True):
        raise SystemExit(f"wanted {', '.join(names)}, all usable; found {done.stdout}")
    checked = container.run("floe-monitor", "healthcheck")
    if checked.returncode != 0:
        raise SystemExit(f"the health check fails: {checked.stderr}")


def _expect_whole(container: Container) -> None:
    _, missing = imports(container)
    if missing:
        raise SystemExit(f"deploy/docker/shrink.py took away what is imported: {missing}")


def main(wanted: Sequence[str]) -> None:
    if reason := images.lacking():
        raise SystemExit(reason)
    head, _, old = PAGE.read_text().partition(_TABLE)
    rows = {line.split("`")[1]: line for line in old.splitlines() if line.startswith("| `")}
    for engines in wanted or [*distributions.plugins(), "all"]:
        try:
            rows[engines] = str(certify(engines))
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{engines}: {error}") from None
        print(rows[engines], flush=True)
        PAGE.write_text("\n".join([f"{head}{_TABLE}".rstrip("\n"), *rows.values(), ""]))


if __name__ == "__main__":
    main(sys.argv[1:])
