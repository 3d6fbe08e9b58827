"""From files and environment to `Settings`, or to every problem found, each with its place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from floe_monitor.settings.environment import overlay, variable_for
from floe_monitor.settings.located_yaml import LocatedDocument, parse, read_bytes
from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import ConfigurationError, Place, Problem, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pydantic_core import ErrorDetails

    from floe_monitor.settings.problems import KeyPath

INCLUDABLE = frozenset({"targets", "profiles"})
_GLOB = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings and where they came from. `watched` are the paths and patterns whose change matters."""

    settings: Settings
    files: tuple[Path, ...]
    watched: tuple[Path, ...]
    digest: str
    locate: Callable[[KeyPath], Place]


def load(path: Path, environ: Mapping[str, str]) -> LoadedSettings:
    """Read and check a configuration. Blocking. Raises `ConfigurationError`."""
    sources = _Sources()
    document = sources.read(path)
    data, problems = overlay(document, environ)
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        located = [_translate(details, sources.locate) for details in error.errors(include_url=False)]
        raise ConfigurationError([*problems, *located]) from None
    problems += _cross_check(settings, sources.locate)
    if problems:
        raise ConfigurationError(problems)
    return LoadedSettings(
        settings, tuple(sources.files), tuple(sources.watched), digest_of(sources.watched), sources.locate
    )


def digest_of(watched: list[Path] | tuple[Path, ...]) -> str:
    """A checksum of what the files say now; a file that cannot be read counts as its reason."""
    total = hashlib.blake2b(digest_size=16)
    for path in _expand(watched):
        total.update(str(path).encode("utf-8", "surrogateescape") + b"\0")
        try:
            total.update(hashlib.blake2b(path.read_bytes(), digest_size=16).digest())
        except OSError as error:
            total.update(type(error).__name__.encode())
    return total.hexdigest()


def _expand(watched: list[Path] | tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in watched:
        found += _matches(path) if _is_pattern(path) else [path]
    return found


def _is_pattern(path: Path) -> bool:
    return any(_GLOB & set(part) for part in path.parts)


def _matches(pattern: Path) -> list[Path]:
    anchor = Path(pattern.anchor or ".")
    relative = str(pattern.relative_to(anchor)) if pattern.anchor else str(pattern)
    # What Kubernetes and editors leave beside the real files is not meant.
    return sorted(p for p in anchor.glob(relative) if p.is_file() and not p.name.startswith("."))


class _Sources:
    """The files read, merged into one document; knows whose every part is."""

    def __init__(self) -> None:
        self.files: list[Path] = []
        self.watched: list[Path] = []
        self._main: LocatedDocument | None = None
        self._targets: dict[str, LocatedDocument] = {}
        self._profiles: list[tuple[LocatedDocument, int]] = []

    def read(self, path: Path) -> dict[str, Any]:
        self.watched.append(path)
        main = self._main = self._parse(path)
        data = dict(main.value)
        problems: list[Problem] = []
        documents = [main]
        patterns = data.get("include", [])
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else []):
            if isinstance(pattern, str):
                documents += self._included(path, pattern, ("include", index), problems)
        targets: dict[str, Any] = {}
        profiles: list[Any] = []
        for document in documents:
            self._gather(document, targets, profiles, problems)
        if problems:
            raise ConfigurationError(problems)
        # A section of the wrong kind stays as it is, for validation to name.
        if isinstance(data.get("targets", {}), dict):
            data["targets"] = targets
        if isinstance(data.get("profiles", []), list):
            data["profiles"] = profiles
        return data

    def locate(self, path: KeyPath) -> Place:
        main = self._main
        assert main is not None  # noqa: S101 - `read` comes first
        head, rest = (path[0], path[1:]) if path else (None, ())
        if head == "targets" and rest and (owner := self._targets.get(str(rest[0]))) is not None:
            return owner.place(path)
        if head == "profiles" and rest and isinstance(rest[0], int) and rest[0] < len(self._profiles):
            document, index = self._profiles[rest[0]]
            return document.place(("profiles", index, *rest[1:]))
        if head is not None and head not in main.value:
            return (
                Place(f"environment {variable_for(path)}")
                if head in Settings.model_fields
                else main.place(())
            )
        return main.place(path)

    def _parse(self, path: Path) -> LocatedDocument:
        self.files.append(path)
        document = parse(path, read_bytes(path))
        if document.value is None:
            document.value = {}
        if not isinstance(document.value, dict):
            raise ConfigurationError([Problem(document.place(()), "must be a mapping of settings")])
        return document

    def _included(
        self, main: Path, pattern: str, where: KeyPath, problems: list[Problem]
    ) -> Iterator[LocatedDocument]:
        path = main.parent / pattern
        self.watched.append(path)
        if not _is_pattern(path):
            found = [path]
        else:
            found = [match for match in _matches(path) if match.resolve() != main.resolve()]
        for match in found:
            if match in self.files:
                problems.append(Problem(self.locate(where), f"{match} is included twice", where))
                continue
            try:
                document = self._parse(match)
            except ConfigurationError as error:
                problems += error.problems
                continue
            for key in document.value.keys() - INCLUDABLE:
                hint = "settings that hold for all belong in the main file"
                message = "an included file may hold targets and profiles only"
                problems.append(Problem(document.place((key,)), message, (key,), hint))
            yield document

    def _gather(
        self, document: LocatedDocument, targets: dict[str, Any], profiles: list[Any], problems: list[Problem]
    ) -> None:
        mine = document.value.get("targets") or {}
        if isinstance(mine, dict):
            for name, target in mine.items():
                if name in targets:
                    first = self._targets[name].place(("targets", name))
                    problems.append(
                        Problem(
                            document.place(("targets", name)),
                            f"is already defined at {first}",
                            ("targets", name),
                        )
                    )
                    continue
                targets[name] = target
                self._targets[name] = document
        elif document is not self._main:
            problems.append(Problem(document.place(("targets",)), "must be a mapping", ("targets",)))
        listed = document.value.get("profiles") or []
        if isinstance(listed, list):
            profiles += listed
            self._profiles += [(document, index) for index in range(len(listed))]
        elif document is not self._main:
            problems.append(Problem(document.place(("profiles",)), "must be a list", ("profiles",)))


_WORDS = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "string_pattern_mismatch": "may hold letters, digits, '_', '-' and '.', and starts with one of the first two",
}


def _translate(details: ErrorDetails, locate: Callable[[KeyPath], Place]) -> Problem:
    path: KeyPath = tuple(part for part in details["loc"] if part != "[key]")
    kind, context = details["type"], details.get("ctx", {})
    if _under_credentials(path) and kind in ("model_type", "model_attributes_type"):
        hint = "write {env: NAME} or {file: PATH}"
        return Problem(locate(path), "a literal secret is refused", path, hint)
    if kind == "extra_forbidden":
        return Problem(locate(path), "unknown key", path, suggestion(str(path[-1]), _known(path[:-1])))
    if kind == "value_error":
        message = str(context.get("error", "is not valid"))
    elif kind == "literal_error":
        message = f"must be {context['expected']}"
    elif kind in _WORDS:
        message = _WORDS[kind]
    else:
        message = details["msg"][0].lower() + details["msg"][1:]
    return Problem(locate(path), message, path)


def _under_credentials(path: KeyPath) -> bool:
    return len(path) >= 2 and path[-2] in ("credentials", "headers")


def _known(path: KeyPath) -> list[str]:
    """The keys that may stand at `path`."""
    model: Any = Settings
    for part in path:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = _model_in(field.annotation) if field is not None else None
        # Below a mapping or a list the model is the one of its values.
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _model_in(argument)) is not None:
            return found
    return None


def _cross_check(settings: Settings, locate: Callable[[KeyPath], Place]) -> list[Problem]:
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    for index, profile in enumerate(settings.profiles):
        named = [("target", profile.target)] if profile.target is not None else []
        chosen = settings.targets if profile.targets is None else profile.targets
        for position, name in enumerate(profile.targets or ()):
            if name not in settings.targets:
                path: KeyPath = ("profiles", index, "targets", position)
                problems.append(
                    Problem(locate(path), "no such target", path, suggestion(name, settings.targets))
                )
        for key, name in named:
            if name not in chosen:
                path = ("profiles", index, key)
                problems.append(
                    Problem(locate(path), "is none of the profile's targets", path, suggestion(name, chosen))
                )
        where = (profile.name, str(Path(profile.path)))
        if where in seen:
            path = ("profiles", index, "name")
            problems.append(
                Problem(locate(path), f"the same profile and path as profiles[{seen[where]}]", path)
            )
        seen.setdefault(where, index)
    limits = settings.workers
    if limits.stuck_limit is not None and limits.stuck_limit > limits.limit:
        path = ("workers", "stuck_limit")
        problems.append(Problem(locate(path), "is above workers.limit: /healthz could never fail", path))
    return problems
