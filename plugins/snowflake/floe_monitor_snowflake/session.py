"""One session through Snowflake's own driver, every call of it bounded."""

from __future__ import annotations

import importlib
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError

if TYPE_CHECKING:
    from floe_monitor_snowflake.bounding import Line
    from floe_monitor_snowflake.config import SnowflakeConfig

Rows = list[dict[str, Any]]
_MAX_KEY_BYTES = 65536


def private_key(config: SnowflakeConfig) -> bytes | None:
    """The key pair's private half as DER; `ComputeConfigurationError` says why there is none to be had."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - for key pairs alone

    text = config.secret("private_key")
    if text is None and config.private_key_path is None:
        return None
    raw = text.encode() if text is not None else _read(Path(str(config.private_key_path)))
    passphrase = (config.secret("private_key_passphrase") or "").encode() or None
    try:
        if raw.lstrip().startswith(b"-"):
            key = serialization.load_pem_private_key(raw, passphrase)
        else:
            import base64  # noqa: PLC0415

            key = serialization.load_der_private_key(base64.b64decode(raw), passphrase)
    except TypeError:
        # cryptography's way to say that one is given and not needed, or needed and not given.
        lacking = (
            "needs its passphrase" if passphrase is None else "is not encrypted, but a passphrase is given"
        )
        raise ComputeConfigurationError(f"the private key {lacking}") from None
    except Exception:  # noqa: BLE001 - its texts may hold parts of the key
        hint = " (or the passphrase is wrong)" if passphrase else ""
        raise ComputeConfigurationError(
            f"the private key cannot be read as PEM or base64 DER{hint}"
        ) from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ComputeConfigurationError(f"no such private key file: {path}")
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise ComputeConfigurationError(
            f"cannot read the private key file {path}: {error.strerror}"
        ) from None


def parameters(config: SnowflakeConfig, key: bytes | None, seconds: float) -> dict[str, Any]:
    """The driver's arguments. It counts in whole seconds: rounded up, for the line is the sharper bound."""
    whole = max(1, math.ceil(seconds))
    host, port = config.address
    method = config.method
    authenticator = {"jwt": "oauth", "snowflake": None}.get(method, method)
    given: dict[str, Any] = {
        "account": config.account.replace("_", "-"),
        "user": config.user,
        "host": host,
        "port": port,
        "protocol": "https" if config.encrypts else "http",
        "role": config.role,
        "password": config.secret("password"),
        "token": config.secret("token"),
        "private_key": key,
        "authenticator": "SNOWFLAKE_JWT" if key is not None else authenticator,
        "proxy_host": config.proxy_host,
        "proxy_port": (config.proxy_port or 80) if config.proxy_host is not None else None,
    }
    return {
        **{name: value for name, value in given.items() if value is not None},
        "application": "floe-monitor",
        "session_parameters": {
            "QUERY_TAG": "floe-monitor",
            "CLIENT_TELEMETRY_ENABLED": False,
            "STATEMENT_TIMEOUT_IN_SECONDS": whole,
            "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": whole,
        },
        "client_out_of_band_telemetry_enabled": False,
        "autocommit": True,
        # Bounds on the whole of each step, retries included; and no retries: the next probe is one.
        "login_timeout": whole,
        "authentication_timeout": whole,
        "query_timeout": whole,
        "request_timeout": whole,
        "connect_timeout": whole,
        "retry_max_attempts": 1,
        "logout_max_attempts": 1,
        "logout_request_timeout_seconds": 1,
        "logout_total_timeout_seconds": 1,
        "server_session_keep_alive": False,
        "enable_server_session_keep_alive_auto_detection": False,
        # Nothing left in files, key rings or at the interpreter's end.
        "client_store_temporary_credential": False,
        "crl_enable_disk_caching": False,
        "auto_cleanup": False,
    }


def _driver() -> Any:
    return importlib.import_module("snowflake.connector")


class Session:
    """Logged in; statements run on `line`."""

    def __init__(self, connection: Any, line: Line) -> None:
        self._connection = connection
        self._line = line

    @classmethod
    def open(cls, config: SnowflakeConfig, key: bytes | None, line: Line) -> Session:
        """Raises the driver's errors, and `ComputeTimeoutError` at the line's deadline."""
        opened: list[Any] = []

        def login() -> Any:
            # Counted again: loading the driver took its part.
            arguments = parameters(config, key, line.expires_at - time.monotonic())
            opened.append(driver.connect(**arguments))
            return opened[0]

        try:
            driver = line.call(_driver, "the driver to be loaded")
            return cls(line.call(login, "the login"), line)
        except BaseException:
            # The login may yet succeed, with nobody waiting: its session is closed then.
            line.end(lambda: [connection.close(retry=False) for connection in opened])
            raise

    def run(self, sql: str, waiting_for: str, *, by_position: bool = False) -> Rows:
        """Rows by the columns' names in lower case, or by their numbers."""

        def execute() -> Rows:
            with self._connection.cursor() as cursor:
                cursor.execute(sql)
                columns = list(cursor.description or [])
                names = [
                    str(position) if by_position else str(column[0]).lower()
                    for position, column in enumerate(columns)
                ]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return self._line.call(execute, waiting_for)

    def close(self) -> None:
        """Logs out, for as long as the deadline leaves time; later alone otherwise."""
        self._line.end(lambda: self._connection.close(retry=False))
