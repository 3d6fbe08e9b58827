"""The configuration's files: the one named, those it includes, and a checksum of what they say."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.located_yaml import LocatedDocument, parse, read_bytes
from floe_monitor.settings.problems import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from floe_monitor.registry.problems import KeyPath

    Includes = Callable[[list[Any]], list[tuple[Any, Place | None]]]
    """From the patterns of the main file to those in force; the place of one that another source gave."""

MAX_TOTAL = 64 << 20
"""Of all files together, about."""
INCLUDABLE = ("targets", "profiles")
_GLOB = frozenset("*?[")


def digest_of(watched: Iterable[Path]) -> str:
    """A checksum of what the files say now; a file that cannot be read counts as its reason."""
    found: dict[str, bytes] = {}
    for path in _expand(watched):
        name = os.path.abspath(path)  # noqa: PTH100 - links stay
        try:
            found[name] = _checksum(read_bytes(path))
        except ConfigurationError as error:
            found[name] = str(error).encode("utf-8", "surrogateescape")
    return _combined(found)


def is_pattern(path: Path) -> bool:
    return any(_GLOB & set(part) for part in path.parts)


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _combined(found: Mapping[str, bytes]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for name in sorted(found):
        total.update(name.encode("utf-8", "surrogateescape") + b"\0" + found[name])
    return total.hexdigest()


def _expand(watched: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in watched:
        found += matches(path) if is_pattern(path) else [path]
    return found


def matches(pattern: Path) -> list[Path]:
    anchor = Path(pattern.anchor or ".")
    relative = str(pattern.relative_to(anchor)) if pattern.anchor else str(pattern)
    try:
        # What Kubernetes and editors leave beside the real files is not meant.
        return sorted(p for p in anchor.glob(relative) if not p.name.startswith(".") and not p.is_dir())
    except (OSError, ValueError):  # a directory vanishing under the walk; `**x`
        return []


class ConfigFiles:
    """The files read, merged into one document; knows whose every part is."""

    def __init__(self, path: Path) -> None:
        self.read_files: list[Path] = []
        self.watched: list[Path] = [path]
        self.problems: list[Problem] = []
        self._path = path
        self._checksums: dict[str, bytes] = {}
        self._size = 0
        self._main = LocatedDocument(str(path), "", {})
        self._targets: dict[str, LocatedDocument] = {}
        self._profiles: list[tuple[LocatedDocument, int]] = []

    @property
    def digest(self) -> str:
        return _combined(self._checksums)

    @property
    def opened(self) -> tuple[str, ...]:
        """Everything read, files of the secrets directory included."""
        return tuple(self._checksums)

    def read(self, includes: Includes) -> dict[str, Any]:
        """Raises `ConfigurationError` for the main file alone; others' problems are collected."""
        self._main = self._parse(self._path)
        data = {key: value for key, value in self._main.value.items() if value is not None}
        targets: dict[str, Any] = {}
        profiles: list[Any] = []
        for document in [self._main, *self._included(data, includes)]:
            self._gather(document, targets, profiles)
        # A section of the wrong kind stays as it is, for validation to name.
        if isinstance(data.get("targets", {}), dict):
            data["targets"] = targets
        if isinstance(data.get("profiles", []), list):
            data["profiles"] = profiles
        return data

    def place(self, path: KeyPath) -> Place:
        if len(path) > 1 and path[0] == "targets" and path[1] in self._targets:
            return self._targets[str(path[1])].place(path)
        known = range(len(self._profiles))
        if len(path) > 1 and path[0] == "profiles" and isinstance(path[1], int) and path[1] in known:
            document, index = self._profiles[path[1]]
            return document.place(("profiles", index, *path[2:]))
        return self._main.place(path)

    def read_watched(self, path: Path) -> bytes:
        """The file's bytes, which from now on are part of the digest. Raises `ConfigurationError`."""
        if self._size > MAX_TOTAL:
            problem = f"is not read: the files before it hold more than {MAX_TOTAL >> 20} MB"
            raise ConfigurationError([Problem(Place(str(path)), problem)])
        data = read_bytes(path)
        self._size += len(data)
        self._checksums[os.path.abspath(path)] = _checksum(data)  # noqa: PTH100 - links stay
        return data

    def _parse(self, path: Path) -> LocatedDocument:
        self.read_files.append(path)
        data = self.read_watched(path)
        document = parse(path, data)
        if document.value is None:
            # A file cut short while it is written says nothing; a fragment all of comments does.
            if path == self._path or not data.strip():
                raise ConfigurationError([Problem(Place(str(path)), "is empty: it holds no settings")])
            document.value = {}
        if not isinstance(document.value, dict):
            raise ConfigurationError([Problem(document.place(()), "must be a mapping of settings")])
        return document

    def _included(self, data: dict[str, Any], includes: Includes) -> list[LocatedDocument]:
        documents: list[LocatedDocument] = []
        for index, (pattern, place) in enumerate(includes(data.get("include", []))):
            if isinstance(pattern, str) and pattern:
                path: KeyPath = ("include", index)
                documents += self._matching(pattern, place or self._main.place(path), path)
        return documents

    def _matching(self, pattern: str, place: Place, where: KeyPath) -> list[LocatedDocument]:
        path = self._path.parent / pattern
        self.watched.append(path)
        if is_pattern(path):
            found = [match for match in matches(path) if not self._is_read(match)]
        elif not os.path.lexists(path):  # a file that may not be looked at is reported when it is read
            self.problems.append(Problem(place, f"{path} does not exist", where))
            return []
        else:
            found = [path]
        documents = []
        for match in found:
            if self._is_read(match):
                self.problems.append(Problem(place, f"{match} is included twice", where))
                continue
            try:
                document = self._parse(match)
            except ConfigurationError as error:
                self.problems += error.problems
                continue
            for key in document.value.keys() - set(INCLUDABLE):
                message = "an included file holds targets and profiles only"
                hint = "settings that hold for all belong in the main file"
                self.problems.append(Problem(document.place((key,)), message, (key,), hint))
            documents.append(document)
        return documents

    def _is_read(self, path: Path) -> bool:
        return os.path.abspath(path) in self._checksums  # noqa: PTH100 - links stay

    def _gather(self, document: LocatedDocument, targets: dict[str, Any], profiles: list[Any]) -> None:
        mine = document.value.get("targets") or {}
        if isinstance(mine, dict):
            for name, target in mine.items():
                if name in targets:
                    path: KeyPath = ("targets", name)
                    first = self._targets[name].place(path)
                    message = f"is already defined at {first}"
                    self.problems.append(Problem(document.place(path), message, path))
                    continue
                targets[name] = target
                self._targets[name] = document
        elif document is not self._main:
            self.problems.append(Problem(document.place(("targets",)), "must be a mapping", ("targets",)))
        listed = document.value.get("profiles") or []
        if isinstance(listed, list):
            profiles += listed
            self._profiles += [(document, index) for index in range(len(listed))]
        elif document is not self._main:
            self.problems.append(Problem(document.place(("profiles",)), "must be a list", ("profiles",)))
