"""TLS contexts, made once for each set of roots: loading the system's takes some 20 ms of CPU."""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path

from floe_monitor.compute.errors import ComputeConfigurationError, resource_error_in
from floe_monitor.compute.toolkit.certificates import pem_valid_until

Version = tuple[Path, int, int]
"""A file or directory with its time of change in nanoseconds and its size, by which a change is detected."""


def tls_context(roots: str | Path | None = None, *, verify: bool = True) -> ssl.SSLContext:
    """Of a client that trusts the certificates in `roots`, a file or directory, or else the system's.

    Without `verify` it accepts any certificate and reads no file. Made anew once the roots have changed.
    Raises `ComputeConfigurationError` where they cannot be read. Shared: not to be changed.
    """
    if not verify:
        return _trusting_anybody()
    if roots is None:
        return _trusting_system(system_roots())
    return _trusting(roots_version(roots))


def roots_version(roots: str | Path) -> Version:
    """What has to be compared to know that `roots` are the same. Raises `ComputeConfigurationError`."""
    place = Path(roots)
    try:
        state = place.stat()
        if not (place.is_file() or place.is_dir()):  # a pipe would be waited for
            raise ComputeConfigurationError(f"cannot read the TLS roots in {place}: no file and no directory")
    except (OSError, ValueError) as error:
        raise _unreadable(place, error) from None
    return place, state.st_mtime_ns, state.st_size


def system_roots() -> tuple[Version, ...]:
    """Where OpenSSL looks now: SSL_CERT_FILE and SSL_CERT_DIR count. What is not there it passes over."""
    paths = ssl.get_default_verify_paths()
    return tuple(roots_version(place) for place in (paths.cafile, paths.capath) if place)


@lru_cache(maxsize=4)
def _trusting_system(_: tuple[Version, ...]) -> ssl.SSLContext:
    return ssl.create_default_context()


@lru_cache(maxsize=16)
def _trusting(version: Version) -> ssl.SSLContext:
    place = version[0]
    try:
        if place.is_dir():
            next(place.iterdir(), None)  # OpenSSL says nothing of a directory that it cannot read
            return ssl.create_default_context(capath=str(place))
        return ssl.create_default_context(cafile=str(place))
    except OSError as error:
        raise _unreadable(place, error) from None


@lru_cache(maxsize=1)
def _trusting_anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _unreadable(place: Path, error: OSError | ValueError) -> Exception:
    if isinstance(error, OSError) and resource_error_in(error) is not None:
        return error  # as it is, for the caller to name
    if isinstance(error, ssl.SSLError):
        reason: str | None = "it holds no certificates in PEM form"
    else:
        reason = getattr(error, "strerror", None) or "no path"
    return ComputeConfigurationError(f"cannot read the TLS roots in {place}: {reason}")


def load_client_certificate(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Have the context show a certificate to servers; `key` may be in the same file.

    Blocking. Raises `ComputeConfigurationError` where they cannot be read or do not belong together, and for
    an encrypted key, for which drivers ask a terminal.
    """
    try:
        context.load_cert_chain(certificate, key, password=_refuse_encrypted)
    except _EncryptedKeyError:
        raise ComputeConfigurationError(
            f"the key in {key} is encrypted: dbt's driver has no passphrase for it, and asks a terminal"
        ) from None
    except ssl.SSLError as error:
        reason = "they do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "no PEM of both"
        raise ComputeConfigurationError(
            f"cannot use the client's certificate in {certificate} with the key in {key}: {reason}"
        ) from None
    except OSError as error:
        raise ComputeConfigurationError(
            f"cannot read the client's certificate or key: {error.strerror}"
        ) from None


@lru_cache(maxsize=16)
def end_of_certificate(certificate: Version) -> float | None:
    """When the certificate in a file ends, in Unix seconds; None where it cannot be read or says nothing."""
    try:
        return pem_valid_until(certificate[0].read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None  # whoever uses it says so


class _EncryptedKeyError(Exception):
    pass


def _refuse_encrypted() -> str:
    raise _EncryptedKeyError
