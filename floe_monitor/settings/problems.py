"""Everything wrong with a configuration at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.registry.problems import Problem


class ConfigurationError(Exception):
    """The configuration cannot be used. `problems` holds everything found, file by file and down each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
