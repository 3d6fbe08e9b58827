"""ClickHouse on loopback: Debian's server, which is real but of 2018, and today's engine behind a front.

The first has both protocols, and none of what dbt-clickhouse asks for; the second has that, over HTTP alone.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from conformance import environments
from conformance.lakehouse import free_ports
from conformance.loopback_server import LOOPBACK
from conformance.server_process import ServerProcess

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
USER = "dbt"
PROGRAM = "clickhouse-server"
CHDB = "chdb.txt"
FRONT = environments.ROOT / "conformance" / "clickhouse_front.py"

_OLD = """<yandex>
<logger><level>warning</level><console>true</console></logger>
<http_port>{http}</http_port><tcp_port>{native}</tcp_port>
<interserver_http_port>{interserver}</interserver_http_port>
<https_port>{https}</https_port><tcp_port_secure>{native_tls}</tcp_port_secure>
<openSSL><server><certificateFile>{folder}/server.pem</certificateFile>
<privateKeyFile>{folder}/server.key</privateKeyFile><verificationMode>none</verificationMode></server></openSSL>
<listen_host>127.0.0.1</listen_host><path>{folder}/data/</path><tmp_path>{folder}/tmp/</tmp_path>
<users_config>{folder}/users.xml</users_config><default_profile>default</default_profile>
<default_database>default</default_database><mark_cache_size>5368709</mark_cache_size></yandex>
"""
_OLD_USERS = """<yandex>
<profiles><default/><reading><readonly>1</readonly></reading></profiles>
<quotas><default/><spent><interval><duration>3600</duration><queries>1</queries></interval></spent></quotas>
<users>{users}</users></yandex>
"""
_OLD_USER = """<{name}><password>{password}</password><networks><ip>127.0.0.1</ip></networks>
<profile>{profile}</profile><quota>{quota}</quota></{name}>
"""
_NEW = """<clickhouse>
<user_directories><users_xml><path>{folder}/users.xml</path></users_xml></user_directories>
<remote_servers><here><shard><replica><host>127.0.0.1</host><port>9000</port></replica></shard></here>
<lame><shard><replica><host>127.0.0.1</host><port>9000</port></replica>
<replica><host>127.0.0.1</host><port>1</port></replica></shard></lame></remote_servers></clickhouse>
"""
_NEW_USERS = """<clickhouse><profiles><default>{settings}</default></profiles>
<quotas><default>{quota}</default></quotas>
<users><default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
{grants}</default></users></clickhouse>
"""


def old_unavailable() -> str | None:
    """Why there can be no server of Debian's here; None where there can."""
    return None if _program() else f"needs {PROGRAM}: apt-get install clickhouse-server"


def _program() -> str | None:
    return shutil.which(PROGRAM, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")


class OldServer(ServerProcess):
    """ClickHouse 18.16: users dbt, reader (a read-only profile) and spent (a quota of one query)."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port, self.native_port, self.tls_port, self.native_tls_port, self._interserver = free_ports(5)
        self.authority = folder / "ca.pem"

    @property
    def command(self) -> list[str]:
        return [_program() or PROGRAM, f"--config-file={self._folder / 'config.xml'}"]

    @property
    def variables(self) -> dict[str, str]:
        return dict(os.environ)

    def launch(self) -> None:
        for part in ("data", "tmp"):
            (self._folder / part).mkdir(parents=True, exist_ok=True)
        _issue_certificate(self._folder)
        ports = {"http": self.port, "native": self.native_port, "https": self.tls_port}
        ports |= {"native_tls": self.native_tls_port, "interserver": self._interserver}
        (self._folder / "config.xml").write_text(_OLD.format(folder=self._folder, **ports))
        users = [
            ("dbt", "default", "default"),
            ("reader", "reading", "default"),
            ("spent", "default", "spent"),
        ]
        entries = (
            _OLD_USER.format(name=name, password=escape(PASSWORD), profile=profile, quota=quota)
            for name, profile, quota in users
        )
        (self._folder / "users.xml").write_text(_OLD_USERS.format(users="".join(entries)))
        super().launch()

    def is_ready(self) -> bool:
        return _listens(self.port) and _listens(self.native_port)

    def execute(self, statement: str, user: str = USER) -> str:
        headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": PASSWORD}
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.port}/", statement.encode(), headers)
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - of loopback
            return str(answer.read().decode())


@dataclass(frozen=True)
class Profile:
    """What the front's one user may do: its grants (None: all), settings of its profile, and quota."""

    grants: tuple[str, ...] | None = None
    settings: tuple[tuple[str, str], ...] = ()
    queries: int | None = None
    """In an hour."""
    statements: tuple[str, ...] = ()
    """Run before it serves, in the same profile."""
    tls: bool = False


class Front(ServerProcess):
    """chdb behind its front, over HTTP or HTTPS."""

    def __init__(self, folder: Path, profile: Profile | None = None) -> None:
        super().__init__(folder)
        self._profile = profile or Profile()
        (self.port,) = free_ports(1)
        self.authority = folder / "ca.pem"

    @property
    def command(self) -> list[str]:
        return [
            str(environments.built(CHDB) / "bin" / "python"),
            str(FRONT),
            str(self._folder / "front.json"),
        ]

    @property
    def variables(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self._folder)}

    def launch(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        given = self._profile
        grants = "".join(f"<query>GRANT {each}</query>" for each in given.grants or ())
        parts = {
            "settings": "".join(f"<{name}>{value}</{name}>" for name, value in given.settings),
            "quota": _quota(given.queries),
            "grants": f"<grants>{grants}</grants>" if given.grants is not None else "",
        }
        (self._folder / "users.xml").write_text(_NEW_USERS.format(**parts))
        (self._folder / "config.xml").write_text(_NEW.format(folder=self._folder))
        if given.tls:
            _issue_certificate(self._folder)
        front: dict[str, Any] = {
            "port": self.port,
            "folder": str(self._folder / "data"),
            "configuration": str(self._folder / "config.xml"),
            "user": USER,
            "password": PASSWORD,
            "statements": list(given.statements),
            "tls": str(self._folder / "whole.pem") if given.tls else None,
        }
        (self._folder / "front.json").write_text(json.dumps(front))
        super().launch()

    def is_ready(self) -> bool:
        return _listens(self.port)


def _quota(queries: int | None) -> str:
    if queries is None:
        return ""
    return f"<interval><duration>3600</duration><queries>{queries}</queries></interval>"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), 1):
            return True
    except OSError:
        return False


def _issue_certificate(folder: Path) -> None:
    import trustme  # noqa: PLC0415 - only where a server runs

    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server = authority.issue_cert("localhost", LOOPBACK)
    chain = b"".join(each.bytes() for each in server.cert_chain_pems)
    (folder / "server.pem").write_bytes(chain)
    (folder / "server.key").write_bytes(server.private_key_pem.bytes())
    (folder / "whole.pem").write_bytes(server.private_key_pem.bytes() + chain)
