"""What an engine's module provides: cases, each a situation that can be brought about and undone."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Situation:
    """A target in the state that the case wants.

    `fields` are the target's keys without `plugin`. `credentials` names the environment variable of each
    credential; `environment` holds their values, for the probe and for dbt alike. `stand_in` says that a
    program of the project answers in the server's place: it accepts every statement that it was written to
    accept, so that a `dbt run` against it would show nothing about the engine. `former_names` are names
    with the address that each had when the target was validated once before, which keeps its connection.
    `credential_files` has the file of a credential that the monitor reads from one; dbt knows the variable.
    `meanwhile` is done after the target was validated once, and found sound, and before it is again.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    stand_in: bool = False
    former_names: Mapping[str, str] = field(default_factory=dict)
    credential_files: Mapping[str, str] = field(default_factory=dict)
    meanwhile: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """`arrange` gets an empty directory of the case's own and keeps the situation up while its context lasts.

    `ordinary_user` has both sides bound by file permissions even where this runs as root. `timeout` is the
    probe's deadline in seconds. `waits` says that dbt waits until it is given up: such cases cost little, so
    that several run beside the others. `builds` is false where the target is configured to read only, so that
    no `dbt run` can be asked of it. `warned` is true where `dbt run` fails at its table, which a warning has
    to name: what dbt will build, the monitor does not know. `apart` has dbt build table and view at once.
    `patience` is after how many seconds dbt counts as hung, where it is known to wait for minutes.
    `asleep` is true where what runs dbt's models is suspended and stays so: `dbt debug` does not notice.
    """

    name: str
    arrange: Callable[[Path], AbstractContextManager[Situation]]
    ordinary_user: bool = False
    timeout: float = 5.0
    waits: bool = False
    builds: bool = True
    warned: bool = False
    apart: bool = False
    patience: float | None = None
    asleep: bool = False

    @property
    def suffix(self) -> str:
        """Of the names of what `dbt run` builds: the same in each run of the case, for the page's sake."""
        return f"{zlib.crc32(self.name.encode()):08x}"


@dataclass(frozen=True, slots=True)
class Engine:
    """`title` heads the section of the page and is the module's name. `direct`, where there is one, is what a
    query of one's own says, without the monitor and without dbt; it begins with `reads` where that succeeds.
    `source` names the relation from which `dbt run` builds its table, or is empty where there is none.
    `requirements` is the pinned dbt environment, a file in `requirements/`; `modules` are imported before
    dbt is forked for each case. `about` goes above the table. `unavailable`, where there is one, says why the
    servers cannot be had on this machine, or None where they can."""

    plugin: str
    requirements: str
    cases: tuple[Case, ...]
    modules: tuple[str, ...] = ()
    about: str = ""
    title: str = ""
    direct: Callable[[Situation, Mapping[str, str]], str] | None = None
    source: Callable[[Situation], str] | None = None
    unavailable: Callable[[], str | None] | None = None
