"""Access to a whole daemon: TLS, the socket and health's own listener at once, and what its log says."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trustme

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

pytestmark = pytest.mark.e2e

CONFIGURATION = """
reload: {poll_interval: 100ms}
http:
  host: 127.0.0.1
  health: {port: 0}
  socket: {path: http.sock, mode: "0660"}
  tls: {certificate: tls.crt, key: tls.key}
  # So that a request from here counts as one from outside, with an address of its own.
  proxy: {addresses: [127.0.0.1], user_header: Remote-User, scopes: [read]}
  external_url: https://tools.example/floe
  users: {anna: {password_hash: {file: anna}, scopes: [act]}}
  tokens: TOKENS
targets:
  dev: {plugin: duckdb, connection: {path: ":memory:"}}
"""


def made(words: list[str], given: str = "") -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "floe_monitor", *words],
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip(), done.stderr


def test_access_to_a_daemon(start_daemon: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.ECDSA)
    (tmp_path / "tls.crt").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    token, told = made(["token", "ci", "--scope", "act"])
    lines = re.search(r"\{.*\}", told)
    assert lines is not None
    password = "correct horse battery"
    (tmp_path / "anna").write_text(made(["password"], password)[0])

    tokens = f"{{ci: {lines[0]}}}"
    daemon = start_daemon(CONFIGURATION.replace("TOKENS", tokens))
    log = daemon.log.read_text
    address = daemon.until(lambda: re.search(r"metrics +(https://[^/]+)/metrics", log()))[1]
    assert "status page  https://tools.example/floe/" in log()

    context = ssl.create_default_context()
    authority.configure_trust(context)
    with httpx.Client(verify=context, base_url=address, timeout=60, trust_env=False) as client:
        assert client.get("/metrics").status_code == 200
        assert client.get("/floe/healthz").status_code == 200
        assert client.get("/api/v1/targets").status_code == 401
        assert client.get("/floe/api/v1/targets", headers={"remote-user": "carol"}).status_code == 200
        bearer = {"authorization": f"Bearer {token}", "x-forwarded-for": "198.51.100.7"}
        assert client.post("/api/v1/targets/dev/validate", headers=bearer).json()["status"] == "healthy"
        assert client.post("/-/reload").status_code == 401
        daemon.until(lambda: client.post("/-/reload", auth=("anna", password)).status_code == 200)

        # On its own listener, by plain HTTP: `daemon.url` is the first such address.
        assert daemon.get("/readyz")[0] in (200, 503)
        assert daemon.get("/metrics")[0] == 404

        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(tmp_path / "http.sock")), base_url="http://x", timeout=60
        ) as local:
            assert local.post("/-/reload").status_code == 200

        # Taken away by a change of the file: no restart, and nothing waits for one.
        daemon.config.write_text(CONFIGURATION.replace("TOKENS", "{}"))
        daemon.until(lambda: client.post("/api/v1/targets/dev/validate", headers=bearer).status_code == 401)
        assert "waiting_for_restart" not in log()
        daemon.config.write_text(CONFIGURATION.replace("TOKENS", "{}").replace("0660", "0600"))
        daemon.until(lambda: '"waiting_for_restart": ["http"]' in log())
    assert daemon.stop() == 0
    assert not (tmp_path / "http.sock").exists()

    lines_of_log = [json.loads(line) for line in log().splitlines() if line.startswith("{")]
    audit = [
        (line["action"], line["by"], line["client"], line["outcome"])
        for line in lines_of_log
        if line["event"] == "audit"
    ]
    for wanted in (
        ("validate", "token ci", "198.51.100.7", "healthy"),
        ("reload", "anonymous", "127.0.0.1", "refused"),
        ("reload", "user anna", "127.0.0.1", "configuration loaded"),
        ("reload", "local", "unix", "configuration loaded"),
    ):
        assert wanted in audit
    for secret in (token, token[5:], password, "sha256:", "$scrypt$"):
        assert secret not in log()
