"""From files and environment to `Settings`, or to every problem found, each with its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.crosschecks import cross_check
from floe_monitor.settings.environment import EnvironmentSource
from floe_monitor.settings.error_messages import explain
from floe_monitor.settings.file_modes import referenced_files
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import ConfigurationError
from floe_monitor.settings.secret_lint import find_literals
from floe_monitor.settings.sources import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from floe_monitor.registry.problems import KeyPath


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings and where they came from. `watched` are the paths and patterns whose change matters;
    `digest` is `digest_of(watched)` as the files were when they were read. `trusted` are the files whose
    content decides what the monitor does: those read here, and those of credentials."""

    settings: Settings
    files: tuple[Path, ...]
    watched: tuple[Path, ...]
    digest: str
    locate: Callable[[KeyPath], Place]
    trusted: tuple[str, ...] = ()


def load(path: Path, environ: Mapping[str, str]) -> LoadedSettings:
    """Read and check a configuration. Blocking. Raises `ConfigurationError` with all that is wrong."""
    reading = Reading(path, environ)
    settings: Settings | None = None
    invalid: list[Problem] = []
    try:
        with reading.under_way():
            settings = Settings()
    except ValidationError as error:
        invalid = [explain(details, reading.locate) for details in error.errors(include_url=False)]
    problems = [*reading.problems]
    problems += [
        Problem(reading.locate(found.path), found.message, found.path, found.hint)
        for found in find_literals(reading.document)
    ]
    refused = {problem.path for problem in problems}
    problems += [problem for problem in invalid if problem.path not in refused]
    if settings is not None:
        problems += cross_check(settings, reading.locate)
    if settings is None or problems:
        raise ConfigurationError(problems)
    files = reading.files
    return LoadedSettings(
        settings,
        tuple(files.read_files),
        tuple(files.watched),
        files.digest,
        reading.locate,
        (*files.opened, *referenced_files(reading.document), *_certificate(settings.http)),
    )


def _certificate(http: HttpSettings) -> tuple[str, ...]:
    return (http.tls.certificate, http.tls.key) if http.tls is not None else ()


def load_http(path: Path, environ: Mapping[str, str]) -> HttpSettings:
    """The section `http` alone, whatever is wrong with the rest: of a file that cannot be read, what the
    environment says. Raises `ConfigurationError` where the section itself is invalid."""
    reading = Reading(path, environ)
    try:
        reading.sources(Settings)
        document = reading.document
    except ConfigurationError:
        document = EnvironmentSource(Settings, {}, environ).document
    try:
        return HttpSettings.model_validate(document.get("http") or {})
    except ValidationError as error:
        problems = [
            explain({**details, "loc": ("http", *details["loc"])}, reading.locate)
            for details in error.errors(include_url=False)
        ]
        raise ConfigurationError(problems) from None


def watched_by(path: Path, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """What a load of `path` would read, were it to fail; for whoever waits for it to be put right."""
    reading = Reading(path, environ)
    try:
        reading.sources(Settings)
    except ConfigurationError:
        return (path,)
    return tuple(reading.files.watched)
