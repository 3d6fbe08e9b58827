"""Where settings come from, in pydantic-settings' terms, and one reading of all of it.

`Settings.settings_customise_sources` names the sources of the reading under way: environment, secrets, files.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic_settings import PydanticBaseSettingsSource

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.environment import PREFIX, SECRETS_DIR, EnvironmentSource, place_of_variable
from floe_monitor.settings.files import ConfigFiles, matches
from floe_monitor.settings.problems import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings

    from floe_monitor.registry.problems import KeyPath

_UNDER_WAY: ContextVar[Reading | None] = ContextVar("reading", default=None)


class LocatedYamlSource(PydanticBaseSettingsSource):
    """The configuration file and those it includes. Raises `ConfigurationError` for the main file alone."""

    def __init__(
        self, settings_cls: type[BaseSettings], files: ConfigFiles, environ: Mapping[str, str]
    ) -> None:
        super().__init__(settings_cls)
        self._environ = {name: value for name, value in environ.items() if _includes(name)}
        self._document = files.read(self._patterns)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - pydantic-settings' own
        return self._document.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return self._document

    def _patterns(self, written: list[Any]) -> list[tuple[Any, Place | None]]:
        """What to include is needed before there is a document for the environment to go over."""
        source = EnvironmentSource(self.settings_cls, {"include": written}, self._environ)
        patterns = source.document["include"]
        listed = patterns if isinstance(patterns, list) else []
        return [(pattern, source.place(("include", index))) for index, pattern in enumerate(listed)]


class SecretsSource(EnvironmentSource):
    """Files named like variables, as orchestrators mount them, in the directory that `SECRETS_DIR` names."""

    def __init__(
        self,
        settings_cls: type[BaseSettings],
        below: Mapping[str, Any],
        files: ConfigFiles,
        environ: Mapping[str, str],
    ) -> None:
        given = environ.get(SECRETS_DIR, "")
        problems, values = [], {}
        if given:
            if not Path(given).is_dir():
                problems.append(Problem(place_of_variable(SECRETS_DIR), f"{given} is no directory"))
            for path in _secret_files(Path(given), files):
                try:
                    values[path.name] = (
                        files.read_watched(path).decode().removesuffix("\n").removesuffix("\r")
                    )
                except UnicodeDecodeError:
                    problems.append(Problem(Place(str(path)), "is not UTF-8"))
                except ConfigurationError as error:
                    problems += error.problems
        super().__init__(settings_cls, below, values, lambda name: Place(str(Path(given, name))))
        self.problems += problems


class Reading:
    """One reading of a configuration: its sources, and where each part of the outcome comes from."""

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self.files = ConfigFiles(path)
        self._environ = environ
        self._over: list[EnvironmentSource] = []
        self.document: dict[str, Any] = {}
        """What all sources say together, as it is validated."""

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """`Settings()` reads these sources meanwhile."""
        token = _UNDER_WAY.set(self)
        try:
            yield
        finally:
            _UNDER_WAY.reset(token)

    def sources(self, settings_cls: type[BaseSettings]) -> tuple[PydanticBaseSettingsSource, ...]:
        """The first has most weight."""
        files = LocatedYamlSource(settings_cls, self.files, self._environ)
        secrets = SecretsSource(settings_cls, files(), self.files, self._environ)
        environment = EnvironmentSource(settings_cls, secrets.document, self._environ)
        self._over = [environment, secrets]
        self.document = environment.document
        return environment, secrets, files

    @property
    def problems(self) -> list[Problem]:
        return [*self.files.problems, *(problem for source in self._over for problem in source.problems)]

    def locate(self, path: KeyPath) -> Place:
        found = (source.place(path) for source in self._over)
        return next((place for place in found if place is not None), None) or self.files.place(path)


def reading_under_way() -> Reading | None:
    return _UNDER_WAY.get()


def _includes(name: str) -> bool:
    return name.upper().startswith(f"{PREFIX}INCLUDE")


def _secret_files(folder: Path, files: ConfigFiles) -> list[Path]:
    found = []
    for prefix in (PREFIX, PREFIX.lower()):
        pattern = folder / f"{prefix}*"
        files.watched.append(pattern)
        found += matches(pattern)
    return found
