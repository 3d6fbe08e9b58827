"""The read-only transaction in which a probe asks: nothing outlives it, behind a pooler neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from floe_monitor_postgres.session import Row, Session

LOCK_SHARE = 0.8
"""Share of the time left after which the server ends the look at its catalog, to be heard itself."""
_LIMITS = {
    "statement_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "transaction_timeout": 170000,
}
"""And since which version of the server. One that goes on waiting (for a lock on its catalog) ends the
statement itself, and where the network breaks between statements, it ends the session."""


class ReadOnlyTransaction:
    """From `begin` to the end of the block, for one user. Leaves the session idle, so that a pooler may lend
    its server's connection to the next client instead of closing it.

    With `autocommit` it is one for each message, and none of them is opened, as in dbt's sessions then: a
    pooler that lends by the statement refuses BEGIN.
    """

    def __init__(self, session: Session, role: str | None, *, autocommit: bool) -> None:
        self._session = session
        self._role = role
        self._autocommit = autocommit

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._session.in_transaction:
            self._session.rest()

    def begin(self, questions: list[str]) -> list[Row]:
        """Open it. The `questions` are put before the session gets the limits and the role of this one; they
        are to need no catalog, which may be locked."""
        opening = "SET TRANSACTION READ ONLY" if self._autocommit else "BEGIN READ ONLY"
        return self._send(opening, *questions, *self._settings())

    def run(self, query: str) -> list[Row]:
        return self._send(*self._repeated(), query)

    def run_last(self, query: str) -> list[Row]:
        """A query for as long as it may wait for a lock, and the end of the transaction, in one message."""
        limit = f"SET LOCAL statement_timeout = {self._milliseconds(LOCK_SHARE)}"
        end = [] if self._autocommit else ["ROLLBACK"]
        return self._send(*self._repeated(), limit, query, *end)

    def _repeated(self) -> list[str]:
        """What a message needs that is a transaction by itself."""
        return ["SET TRANSACTION READ ONLY", *self._settings()] if self._autocommit else []

    def _settings(self) -> list[str]:
        version, left = self._session.server_version, self._milliseconds(1)
        limits = [f"SET LOCAL {limit} = {left}" for limit, since in _LIMITS.items() if version >= since]
        return limits if self._role is None else [*limits, f"SET LOCAL ROLE {self._role}"]

    def _milliseconds(self, share: float) -> int:
        return int(self._session.deadline.remaining() * 1000 * share) + 1

    def _send(self, *statements: str) -> list[Row]:
        return self._session.run("; ".join(statements))
