"""AWS' configuration files: `credentials`, and `config`, whose sections are called `profile NAME`."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeConfigurationError, ComputeTimeoutError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls

_LONGEST = 1 << 20
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class SharedFiles:
    """The sections of both by the names of their profiles, `credentials` over `config`."""

    profiles: Mapping[str, Mapping[str, str]] = field(repr=False)

    def section(self, name: str) -> Mapping[str, str]:
        """Raises `ComputeConfigurationError` for one that is in neither file."""
        if name not in self.profiles:
            raise ComputeConfigurationError(f"AWS' configuration files have no profile {name!r}")
        return self.profiles[name]


def read_shared_files(calls: BlockingCalls, deadline: Deadline) -> SharedFiles:
    """In a thread that is abandoned at the deadline: a home directory may lie on a network's file system."""
    places = (
        ("AWS_CONFIG_FILE", "~/.aws/config", True),
        ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", False),
    )
    paths = tuple(
        (Path(os.environ.get(name) or default).expanduser(), prefixed) for name, default, prefixed in places
    )
    try:
        return calls.run(deadline.remaining(), ("aws files", paths), lambda: _read(paths))
    except ComputeTimeoutError as error:
        raise ComputeTimeoutError(f"{error} while reading AWS' configuration files") from None


def read_text(calls: BlockingCalls, deadline: Deadline, path: str) -> str:
    """Of a small file that a setting names, a token. Raises `ComputeConfigurationError`."""
    try:
        return calls.run(deadline.remaining(), ("aws token", path), lambda: _content(Path(path)) or "")
    except ComputeTimeoutError as error:
        raise ComputeTimeoutError(f"{error} while reading {path}") from None


def _read(paths: tuple[tuple[Path, bool], ...]) -> SharedFiles:
    profiles: dict[str, dict[str, str]] = {}
    for path, prefixed in paths:
        text = _content(path, missing_is_empty=True)
        parser = configparser.RawConfigParser(strict=False, default_section="\0")
        try:
            parser.read_string(text)
        except configparser.Error:
            raise ComputeConfigurationError(f"{path} is no configuration file of AWS") from None
        for section in parser.sections():
            name = section
            if prefixed and section != DEFAULT:
                kind, _, name = section.partition(" ")
                if kind != "profile":
                    continue
            profiles.setdefault(name.strip().strip("\"'"), {}).update(parser.items(section))
    return SharedFiles(profiles)


def _content(path: Path, *, missing_is_empty: bool = False) -> str:
    try:
        if not path.is_file():  # a pipe would be waited for
            if missing_is_empty and not path.exists():
                return ""
            raise ComputeConfigurationError(f"cannot read {path}: no file")
        with path.open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace")
    except OSError as error:
        raise ComputeConfigurationError(f"cannot read {path}: {error.strerror}") from error
