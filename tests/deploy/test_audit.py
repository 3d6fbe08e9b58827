"""`make audit` before a service of advisories on this machine: what it says; silence is no health."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from conformance import environments
from deploy import audit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.gate, pytest.mark.process, pytest.mark.timeout(900)]

FLAW = {
    "id": "OSV-2026-1",
    "modified": "2026-01-01T00:00:00Z",
    "summary": "reads too far",
    "affected": [
        {
            "package": {"name": "b", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.1"}]}],
        }
    ],
}


class Service(BaseHTTPRequestHandler):
    """Speaks as the Open Source Vulnerabilities database does; of `b` there is an advisory."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = {"vulns": [FLAW]} if asked["package"]["name"] == "b" else {}
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nowhere."""


@contextmanager
def service() -> Iterator[tuple[str, ...]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    thread = threading.Thread(target=server.serve_forever, name="advisories")
    thread.start()
    try:
        yield (
            "--vulnerability-service=osv",
            f"--osv-url=http://127.0.0.1:{server.server_address[1]}/v1/query",
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


GONE = ("--vulnerability-service=osv", "--osv-url=http://127.0.0.1:9/v1/query")


@pytest.fixture
def lock(tmp_path: Path, starts_processes: None) -> Path:
    if reason := environments.unwanted("release.txt"):
        pytest.skip(reason)
    return tmp_path / "some.lock"


def locked(*names: str) -> str:
    return "".join(f"{name}==2.0 \\\n    --hash=sha256:{'a' * 64}\n" for name in names)


def test_an_advisory_is_named_and_the_next_service_asked_where_one_is_silent(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write_text(locked("a", "b"))
    with service() as here:
        assert audit.main([lock], [GONE, here]) == audit.ADVISORIES
        assert capsys.readouterr().out.splitlines() == [
            "some.lock: 2 asked about, 1 advisories",
            "  b 2.0: OSV-2026-1, fixed in 2.1",
        ]
        lock.write_text(locked("a"))
        assert audit.main([lock], [here]) == audit.CLEAN


def test_where_no_service_answers_it_fails_and_says_so(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lock.write_text(locked("a"))
    assert audit.main([lock], [GONE]) == audit.UNASKED
    said = capsys.readouterr().out
    assert "some.lock: nothing was audited, for no service of advisories answers from here: " in said
    assert "127.0.0.1" in said
    assert said.endswith("The audit is incomplete: what was not asked about may have advisories.\n")


def test_a_lock_that_no_service_knows_keeps_the_others_from_nothing(
    lock: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = lock.with_name("another.lock")
    strange.write_text(f"-r {lock.name}.gone\n")
    lock.write_text(locked("b"))
    with service() as here:
        assert audit.main([strange, lock], [here]) == audit.ADVISORIES
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("another.lock: nothing was audited")
    assert second == "some.lock: 1 asked about, 1 advisories"
