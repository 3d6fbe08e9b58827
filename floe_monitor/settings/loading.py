"""From files and environment to `Settings`, or to every problem found, each with its place."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from floe_monitor.settings.crosschecks import cross_check
from floe_monitor.settings.environment import PREFIX, Overlay, place_of_variable
from floe_monitor.settings.error_messages import explain
from floe_monitor.settings.located_yaml import LocatedDocument, parse, read_bytes
from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import ConfigurationError, Place, Problem
from floe_monitor.settings.secret_lint import find_literals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from floe_monitor.settings.problems import KeyPath

INCLUDABLE = ("targets", "profiles")
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings and where they came from. `watched` are the paths and patterns whose change matters;
    `digest` is `digest_of(watched)` as the files were when they were read."""

    settings: Settings
    files: tuple[Path, ...]
    watched: tuple[Path, ...]
    digest: str
    locate: Callable[[KeyPath], Place]


def load(path: Path, environ: Mapping[str, str]) -> LoadedSettings:
    """Read and check a configuration. Blocking. Raises `ConfigurationError` with all that is wrong."""
    files = _Files(path)
    overlay = Overlay(files.read(environ), environ)

    def locate(path: KeyPath) -> Place:
        variable = overlay.variable(path)
        return place_of_variable(variable) if variable is not None else files.place(path)

    problems = [*files.problems, *overlay.problems]
    problems += [
        Problem(locate(found.path), found.message, found.path, found.hint)
        for found in find_literals(overlay.document)
    ]
    refused = {problem.path for problem in problems}
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(overlay.document)
    except ValidationError as error:
        explained = [explain(details, locate) for details in error.errors(include_url=False)]
        problems += [problem for problem in explained if problem.path not in refused]
    else:
        problems += cross_check(settings, locate)
    if settings is None or problems:
        raise ConfigurationError(problems)
    return LoadedSettings(settings, tuple(files.read_files), tuple(files.watched), files.digest, locate)


def watched_by(path: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """What a load of `path` would read, were it to fail; for whoever waits for it to be put right."""
    files = _Files(path)
    try:
        files.read(environ)
    except ConfigurationError:
        return (path,)
    return tuple(files.watched)


def digest_of(watched: Iterable[Path]) -> str:
    """A checksum of what the files say now; a file that cannot be read counts as its reason."""
    found: dict[str, bytes] = {}
    for path in _expand(watched):
        try:
            found[os.path.abspath(path)] = _checksum(path.read_bytes()) if path.is_file() else b"no file"  # noqa: PTH100 - links stay
        except OSError as error:
            found[os.path.abspath(path)] = type(error).__name__.encode()  # noqa: PTH100 - as above
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


class _Files:
    """The files read, merged into one document; knows whose every part is."""

    def __init__(self, path: Path) -> None:
        self.read_files: list[Path] = []
        self.watched: list[Path] = [path]
        self.problems: list[Problem] = []
        self._path = path
        self._checksums: dict[str, bytes] = {}
        self._main = LocatedDocument(str(path), "", {})
        self._targets: dict[str, LocatedDocument] = {}
        self._profiles: list[tuple[LocatedDocument, int]] = []

    @property
    def digest(self) -> str:
        return _combined(self._checksums)

    def read(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """Raises `ConfigurationError` for the main file alone; others' problems are collected."""
        self._main = self._parse(self._path)
        data = {key: value for key, value in self._main.value.items() if value is not None}
        targets: dict[str, Any] = {}
        profiles: list[Any] = []
        for document in [self._main, *self._included(data, environ)]:
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

    def _parse(self, path: Path) -> LocatedDocument:
        self.read_files.append(path)
        data = read_bytes(path)
        self._checksums[os.path.abspath(path)] = _checksum(data)  # noqa: PTH100 - links stay
        document = parse(path, data)
        if document.value is None:
            # A file cut short while it is written says nothing; a fragment all of comments does.
            if path == self._path or not data.strip():
                raise ConfigurationError([Problem(Place(str(path)), "is empty: it holds no settings")])
            document.value = {}
        if not isinstance(document.value, dict):
            raise ConfigurationError([Problem(document.place(()), "must be a mapping of settings")])
        return document

    def _included(self, data: dict[str, Any], environ: Mapping[str, str]) -> list[LocatedDocument]:
        ours = {key: value for key, value in environ.items() if key.upper().startswith(f"{PREFIX}INCLUDE")}
        overlay = Overlay({"include": data.get("include", [])}, ours)
        patterns = overlay.document["include"]
        documents: list[LocatedDocument] = []
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
            if isinstance(pattern, str) and pattern:
                variable = overlay.variable(("include", index))
                place = place_of_variable(variable) if variable else self._main.place(("include", index))
                documents += self._matching(pattern, place, ("include", index))
        return documents

    def _matching(self, pattern: str, place: Place, where: KeyPath) -> list[LocatedDocument]:
        path = self._path.parent / pattern
        self.watched.append(path)
        if is_pattern(path):
            found = [match for match in matches(path) if not self._is_read(match)]
        elif not os.path.lexists(path):  # a file that may not be looked at is told when it is read
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
