"""The private half of a key pair, from a credential or a file."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from floe_monitor.compute import ComputeConfigurationError, ComputeTimeoutError
from floe_monitor.compute.toolkit.dbt_outputs import secret_of

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_snowflake.config import SnowflakeConfig

_MAX_KEY_BYTES = 65536


def private_key(config: SnowflakeConfig, calls: BlockingCalls, deadline: Deadline) -> bytes:
    """As DER; `ComputeConfigurationError` says why there is none to be had."""
    text = secret_of(config, "private_key")
    raw = text.encode() if text is not None else _file(str(config.private_key_path), calls, deadline)
    passphrase = (secret_of(config, "private_key_passphrase") or "").encode() or None
    try:
        if raw.lstrip().startswith(b"-"):
            key = serialization.load_pem_private_key(raw, passphrase)
        else:
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


def _file(name: str, calls: BlockingCalls, deadline: Deadline) -> bytes:
    """A network's file system may never answer."""
    try:
        return calls.run(deadline.remaining(), ("file", name), lambda: _read(Path(name)))
    except ComputeTimeoutError as error:
        raise ComputeTimeoutError(f"{error} while reading the private key file {name}") from None


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ComputeConfigurationError(f"no such private key file: {path}")
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except OSError as error:
        raise ComputeConfigurationError(
            f"cannot read the private key file {path}: {error.strerror}"
        ) from error
