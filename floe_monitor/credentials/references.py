"""References to values kept elsewhere, `{env: …}` and `{file: …}`: the one place that reads them."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.env_references import UnresolvedError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SECRET_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Reference:
    """Where a credential is: a file wins over a variable, which then is only its name in profiles.yml."""

    env: str | None = None
    file: str | None = None

    def read(self, environ: Mapping[str, str]) -> str:
        if self.file is not None:
            return read_secret_file(self.file)
        value = environ.get(self.env or "")
        if value is None:
            raise UnresolvedError(f"environment variable {self.env} is not set")
        if not value:
            raise UnresolvedError(f"environment variable {self.env} is empty")
        return value


def as_reference(value: object) -> Reference | None:
    """The reference a mapping stands for: one of `env` and `file` alone, with texts for values."""
    if not isinstance(value, dict) or not value or not value.keys() <= {"env", "file"}:
        return None
    if not all(isinstance(item, str) and item for item in value.values()):
        return None
    return Reference(value.get("env"), value.get("file"))


def read_secret_file(path: str) -> str:
    """A file's text without one final newline. Waits for nothing: a pipe is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise UnresolvedError(f"file {path}: {reason.lower()}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnresolvedError(f"file {path}: not a regular file")
        content = b""
        while len(content) <= MAX_SECRET_BYTES and (
            chunk := os.read(descriptor, MAX_SECRET_BYTES + 1 - len(content))
        ):
            content += chunk
    except OSError as error:
        raise UnresolvedError(f"file {path}: {(error.strerror or 'unreadable').lower()}") from None
    finally:
        os.close(descriptor)
    return _text_of(content, path)


def _text_of(content: bytes, path: str) -> str:
    if len(content) > MAX_SECRET_BYTES:
        raise UnresolvedError(f"file {path}: larger than {MAX_SECRET_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise UnresolvedError(f"file {path}: not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    if not text:
        raise UnresolvedError(f"file {path}: empty")
    if "\0" in text:
        raise UnresolvedError(f"file {path}: holds NUL bytes; is it UTF-16? Save it as UTF-8")
    return text
