"""Golden transcripts: one file is both the script and what it came to.

    # a comment, kept
    $ floe-monitor check dev         a command of a shell, in a directory with what `inputs/` holds
    | one line of its standard output
    ! one line of its standard error
    = 0                              its exit status

    > GET /api/v1/targets            a request to the daemon
    > Accept: text/html              its headers; <etag> stands for the ETag of the answer before
    < 200                            status and headers of the answer
    < content-type: text/html
    | one line of its body

    ~ "busy":0 in /api/v1/status     waits until an answer holds a text

A last line without a newline is followed by `\\`. With `FLOE_MONITOR_GOLDENS=update` what was recorded is
replaced and the script kept.
"""

from __future__ import annotations

import difflib
import gzip
import http.client
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.goldens.exposition import comparable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
UPDATE = os.environ.get("FLOE_MONITOR_GOLDENS") == "update"
LIMIT = 50
"""Seconds for one command or answer: far from what any takes, for a machine that is busy."""

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\{\}|\[\]|[{}\[\],:]|[^"{}\[\],:]+')
_GUARDED_BY_ETAG = ("text/css", "text/javascript", "image/svg+xml")


@dataclass(frozen=True)
class Place:
    """Where a transcript runs: a directory, and the daemon if there is one."""

    path: Path
    normalise: Callable[[str], str]
    url: str = ""


def fill(path: Path) -> None:
    """Put the inputs into an empty directory."""
    shutil.copytree(HERE / "inputs", path, dirs_exist_ok=True)


def environment(path: Path) -> dict[str, str]:
    """A whole environment: nothing of the outer one decides what is recorded."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "HOME": str(path),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "COLUMNS": "100",
    }


def replay(transcript: Path, place: Place) -> str:
    """The transcript anew: its script with what comes of it now."""
    lines: list[str] = []
    etag = ""
    for block in _steps(transcript):
        lines += block
        if block[-1].startswith("$ "):
            lines += _command(block[-1].removeprefix("$ "), place)
        elif block[-1].startswith("~ "):
            text, _, path = block[-1].removeprefix("~ ").rpartition(" in ")
            _await(text, path, place)
        elif block[-1].startswith("> "):
            answer, etag = _request([line.removeprefix("> ") for line in block], place, etag)
            lines += answer
    return "\n".join(lines) + "\n"


def judge(transcript: Path, now: str) -> None:
    """Fail where `now` is not what is recorded, or record it where that is asked for."""
    if UPDATE:
        transcript.write_text(now, encoding="utf-8", newline="")
    recorded = transcript.read_bytes().decode()
    if now != recorded:
        name = transcript.relative_to(HERE.parents[1])
        lines = difflib.unified_diff(
            recorded.split("\n"), now.split("\n"), f"{name}, recorded", "now", lineterm=""
        )
        pytest.fail("\n".join(lines), pytrace=False)


def _steps(transcript: Path) -> Iterator[list[str]]:
    """Comments and blank lines one by one, commands one by one, a request with its headers."""
    request: list[str] = []
    for line in transcript.read_bytes().decode().removesuffix("\n").split("\n"):
        if line.startswith("> "):
            request.append(line)
            continue
        if request:
            yield request
            request = []
        if not line or line.startswith(("# ", "$ ", "~ ")):
            yield [line]
        elif not line.startswith(("| ", "! ", "= ", "< ")) and line not in ("|", "!", "\\"):
            raise ValueError(f"{transcript.name}: what is {line!r}?")
    if request:
        yield request


def _command(line: str, place: Place) -> list[str]:
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=place.path,
        env=environment(place.path),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=LIMIT,
        check=False,
    )
    out = done.stdout.decode()
    if out.startswith(("{", "[{")) and out.count("\n") == 1:
        out = _indented(out)
    return [
        *_prefixed("|", place.normalise(out)),
        *_prefixed("!", place.normalise(done.stderr.decode())),
        f"= {done.returncode}",
    ]


def _await(text: str, path: str, place: Place) -> None:
    give_up = time.monotonic() + LIMIT
    while True:
        with urllib.request.urlopen(place.url + path, timeout=LIMIT) as answer:  # noqa: S310 - loopback
            body = answer.read().decode()
        if text in body:
            return
        assert time.monotonic() < give_up, f"{path} does not come to hold {text}: {body}"
        time.sleep(0.02)


def _request(lines: list[str], place: Place, etag: str) -> tuple[list[str], str]:
    method, _, target = lines[0].partition(" ")
    headers = dict(line.replace("<etag>", etag).split(": ", 1) for line in lines[1:])
    host = urlsplit(place.url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=LIMIT)
    try:
        connection.request(method, target, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders() if name.lower() != "date"}
    etag = found.get("etag", etag)
    if "allow" in found:  # a set, in the order of its hashes
        found["allow"] = ", ".join(sorted(found["allow"].split(", ")))
    if found.get("content-encoding") == "gzip" and body:
        body = gzip.decompress(body)
    shown = _readable(body.decode(), found.get("content-type", ""))
    normalised = place.normalise(shown)
    if normalised != shown or method == "HEAD" or answer.status == http.HTTPStatus.NOT_MODIFIED:
        # Length and ETag vary with the body; of a body that is not sent, nothing says whether it would.
        found |= {name: "<of the body>" for name in ("content-length", "etag") if name in found}
    if "content-encoding" in found:
        found["content-length"] = "<of the body>"
    recorded = [f"< {answer.status}", *(f"< {name}: {found[name]}" for name in sorted(found))]
    if found.get("content-type", "").startswith(_GUARDED_BY_ETAG):
        return recorded, etag
    return [*(place.normalise(line) for line in recorded), *_prefixed("|", normalised)], etag


def _readable(body: str, kind: str) -> str:
    """JSON indented, metrics sorted, all else as it is."""
    if "json" in kind:
        return _indented(body)
    return comparable(body) if "version=" in kind else body


def _indented(body: str) -> str:
    """JSON with a line for each value; its tokens stay as they are, and are compared as they are written."""
    pieces: list[str] = []
    depth = 0
    for token in _TOKEN.findall(body):
        if token in ("}", "]"):
            depth -= 1
            pieces.append("\n" + " " * depth)
        pieces.append(token)
        if token in ("{", "["):
            depth += 1
        if token in ("{", "[", ","):
            pieces.append("\n" + " " * depth)
        elif token == ":":
            pieces.append(" ")
    return "".join(pieces)


def _prefixed(mark: str, text: str) -> list[str]:
    if not text:
        return []
    lines = [f"{mark} {line}" if line else mark for line in text.removesuffix("\n").split("\n")]
    return lines if text.endswith("\n") else [*lines, "\\"]
