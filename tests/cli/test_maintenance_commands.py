"""`maintenance` and `announce` against a server over real sockets; the daemon itself is tests/e2e's."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MADE = {"id": "5f2c", "begins_at": "2026-11-26T10:00:00.000Z", "ends_at": "2026-11-26T12:00:00.000Z"}
LISTED = {
    "maintenance": [
        {**MADE, "targets": ["dev"], "labels": None, "reason": "disk", "author": "Anna"},
        {**MADE, "id": "all", "targets": None, "labels": None, "reason": "move", "author": "Anna"},
    ],
    "announcements": [
        {
            "id": "said",
            "declared_at": MADE["begins_at"],
            "ends_at": MADE["ends_at"],
            "text": "tonight",
            "author": "Anna",
            "public": True,
        }
    ],
}


class Daemon:
    """Answers as the API does, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: dict[str, str] = {}
        self.refusal: tuple[int, str] | None = None
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(None)

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                self._answer(json.loads(self.rfile.read(length)))

            def _answer(self, body: Any) -> None:
                daemon.asked.append((self.command, self.path, body))
                daemon.headers = {name.lower(): value for name, value in self.headers.items()}
                status, said = 200, LISTED if body is None else MADE
                if daemon.refusal is not None:
                    status, said = daemon.refusal[0], {"detail": daemon.refusal[1]}
                content = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def daemon(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    monkeypatch.setenv("USER", "anna")
    made = Daemon()
    port = made.server.server_address[1]
    (place / "floe-monitor.yaml").write_text(f"http: {{port: {port}}}\ntargets: {{}}\n")
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_what_is_declared_is_what_was_said(daemon: Daemon, call: Any) -> None:
    done = call("maintenance", "start", "dev", "lake", "--for", "2h", "--reason", "disk")
    assert (done.code, done.out) == (0, f"5f2c from {MADE['begins_at']} until {MADE['ends_at']}\n")
    asked: dict[str, Any] = {"targets": ["dev", "lake"], "duration": "2h", "reason": "disk", "author": "anna"}
    assert daemon.asked == [("POST", "/api/v1/maintenance", asked)]
    assert "authorization" not in daemon.headers
    call("maintenance", "start", "--label", "team=core", "--from", "2026-11-26T22:00:00Z", "-r", "x")
    assert daemon.asked[-1][2]["labels"] == {"team": "core"}
    assert daemon.asked[-1][2]["begins_at"] == "2026-11-26T22:00:00Z"
    call("maintenance", "start", "--all", "-r", "x", "--author", "Bob")
    assert (daemon.asked[-1][2]["all"], daemon.asked[-1][2]["author"]) == (True, "Bob")
    done = call("announce", "tonight", "--public", "--for", "3h")
    assert (done.code, done.out) == (0, f"5f2c until {MADE['ends_at']}\n")
    asked = {"text": "tonight", "duration": "3h", "author": "anna", "public": True}
    assert daemon.asked[-1] == ("POST", "/api/v1/announcements", asked)


def test_the_list(daemon: Daemon, call: Any) -> None:
    done = call("maintenance", "list")
    assert done.code == 0
    for word in ("5f2c", "dev", "disk", "every target", "tonight", "everybody"):
        assert word in done.out
    assert json.loads(call("maintenance", "list", "--format", "json").out) == LISTED


def test_ending_finds_which_of_the_two_it_is(daemon: Daemon, call: Any) -> None:
    assert call("maintenance", "end", "5f2c").out == "5f2c has ended\n"
    assert daemon.asked[-1][1] == "/api/v1/maintenance/5f2c/end"
    call("maintenance", "end", "said")
    assert daemon.asked[-1][1] == "/api/v1/announcements/said/end"
    call("maintenance", "end", "../x")
    assert daemon.asked[-1][1] == "/api/v1/maintenance/..%2Fx/end"


def test_the_token_goes_along_and_is_never_shown(
    daemon: Daemon, call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "token").write_text("floe_canary\n")
    daemon.refusal = 403, "token ci may read; this wants the scope act"
    done = call("announce", "x", "--url", f"{daemon.url}/floe/", "--token-file", "token")
    assert daemon.headers["authorization"] == "Bearer floe_canary"
    assert daemon.asked[-1][1] == "/floe/api/v1/announcements"
    assert done.code == 1
    assert "answers 403: token ci may read" in done.err
    assert "canary" not in done.out + done.err
    monkeypatch.setenv("FLOE_MONITOR_TOKEN", "floe_other")
    call("announce", "x")
    assert daemon.headers["authorization"] == "Bearer floe_other"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["announce", "x", "--url", "ftp://h"], 2, "--url must begin with http://"),
        (["announce", "x", "--token-file", "none"], 2, "none: no such file"),
        (["announce", "x", "--url", "http://127.0.0.1:1"], 1, "no answer from http://127.0.0.1:1"),
        (["maintenance", "start", "--label", "team"], 2, "--label must be KEY=VALUE"),
    ],
)
def test_what_goes_wrong_is_said(daemon: Daemon, call: Any, words: list[str], code: int, said: str) -> None:
    done = call(*words)
    assert done.code == code
    assert said in done.err
