"""Which targets and which of their fields a request asks for, and the list as JSON. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from floe_monitor.compute.toolkit.suggestions import hint, nearest
from floe_monitor.domain import serialization
from floe_monitor.domain.health import HealthStatus
from floe_monitor.web.responses import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from floe_monitor.domain.json_types import TargetJson, TargetListJson
    from floe_monitor.domain.state import TargetSnapshot

PARAMETERS = ("status", "plugin", "label", "search", "fields", "limit", "offset")
MOST = 999_999_999
"""The largest `limit` and `offset`."""


@dataclass(frozen=True, slots=True)
class TargetQuery:
    """What of the targets is asked for. Values of one filter are alternatives; labels must all match."""

    statuses: frozenset[HealthStatus] = frozenset()
    plugins: frozenset[str] = frozenset()
    labels: tuple[tuple[str, str | None], ...] = ()
    search: str = ""
    fields: tuple[str, ...] = serialization.TARGET_FIELDS
    limit: int | None = None
    offset: int = 0

    @classmethod
    def parse(cls, items: Sequence[tuple[str, str]], ignore: Iterable[str] = ()) -> TargetQuery:
        """From query parameters; `ProblemError` 400 names what is not understood and what is near it."""
        values: dict[str, list[str]] = {}
        for key, value in items:
            if key in PARAMETERS:
                # A form sends its empty fields too.
                values.setdefault(key, []).extend(filter(None, map(str.strip, value.split(","))))
            elif key not in ignore:
                raise unknown_word("query parameter", key, PARAMETERS)
        words = [status.word for status in HealthStatus]
        for key, known in (("status", words), ("fields", serialization.TARGET_FIELDS)):
            for value in values.get(key, ()):
                if value not in known:
                    raise unknown_word(key, value, known)
        return cls(
            statuses=frozenset(HealthStatus[word.upper()] for word in values.get("status", ())),
            plugins=frozenset(values.get("plugin", ())),
            labels=tuple(parse_label(text) for text in values.get("label", ())),
            search=" ".join(values.get("search", ())).lower(),
            fields=tuple(values.get("fields", ())) or serialization.TARGET_FIELDS,
            limit=whole_number("limit", values) if values.get("limit") else None,
            offset=whole_number("offset", values) if values.get("offset") else 0,
        )

    def select(self, snapshots: Iterable[TargetSnapshot]) -> list[TargetSnapshot]:
        """Those that match, in their order; `limit` and `offset` are not applied."""
        if not (self.statuses or self.plugins or self.search or self.labels):
            return list(snapshots)
        return [snapshot for snapshot in snapshots if self._matches(snapshot)]

    def page(self, selected: Sequence[TargetSnapshot]) -> Sequence[TargetSnapshot]:
        end = None if self.limit is None else self.offset + self.limit
        return selected[self.offset : end]

    def part(self, row: TargetJson) -> TargetJson:
        """Those fields alone that are asked for."""
        whole: dict[str, object] = {**row}
        return cast("TargetJson", {name: whole[name] for name in self.fields})

    def _matches(self, snapshot: TargetSnapshot) -> bool:
        target = snapshot.target
        return (
            (not self.statuses or snapshot.status in self.statuses)
            and (not self.plugins or target.plugin_name in self.plugins)
            and (not self.search or self._found_in(snapshot))
            and has_labels(target.labels, self.labels)
        )

    def _found_in(self, snapshot: TargetSnapshot) -> bool:
        if self.search in snapshot.target.name.lower():
            return True
        return snapshot.last is not None and self.search in snapshot.last.message.lower()


def render_targets(snapshots: Sequence[TargetSnapshot], query: TargetQuery) -> bytes:
    """The answer to `GET /api/v1/targets`; blocking, a few milliseconds for every thousand targets."""
    selected = query.select(snapshots)
    rows = [serialization.target(snapshot) for snapshot in query.page(selected)]
    answer: TargetListJson = {
        "total": len(selected),
        "counts": serialization.counts(snapshots),
        "targets": rows if query.fields == serialization.TARGET_FIELDS else [query.part(row) for row in rows],
    }
    return serialization.encode(answer)


def parse_label(text: str) -> tuple[str, str | None]:
    """`key=value`, or a key alone, which any value goes with."""
    key, equals, value = text.partition("=")
    return key, value if equals else None


def has_labels(labels: Mapping[str, str], wanted: Iterable[tuple[str, str | None]]) -> bool:
    return all(key in labels and value in (None, labels[key]) for key, value in wanted)


def whole_number(key: str, values: dict[str, list[str]], most: int = MOST) -> int:
    """The last value, from 0 to `most`."""
    text = values[key][-1]
    if not (text.isascii() and text.isdigit() and len(text) <= 64 and int(text) <= most):
        problem = f"{key} must be a whole number from 0 to {most}, not {text[:64]!r}"
        raise ProblemError(HTTPStatus.BAD_REQUEST, problem)
    return int(text)


def unknown_word(
    what: str, word: str, known: Iterable[str], status: HTTPStatus = HTTPStatus.BAD_REQUEST
) -> ProblemError:
    known = list(known)
    near = nearest(word, known)
    return ProblemError(status, f"unknown {what} {word[:128]!r}; {hint(near, known)}", nearest=near)
