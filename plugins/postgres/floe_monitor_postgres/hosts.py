"""libpq's rules for several hosts, and for what `target_session_attrs` wants of the server behind one.

dbt hands the list over as it stands, and libpq reads the rest from its variables and from the service that
`PGSERVICE` names. A look-up, a connection and a login each have their own bound here, so the rules are
followed host by host instead of by libpq.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from floe_monitor.compute import ComputeConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CANNOT_CONNECT_NOW = "57P03"
"""Starting up, shutting down, or a standby that lets nobody in: libpq goes on to the next host."""
_REFUSED_BECAUSE = {
    "read-write": "it is read-only",
    "read-only": "it is not read-only",
    "primary": "it is a standby",
    "standby": "it is no standby",
}


class OpenSession(Protocol):
    """What is asked of a session to know what kind of server it has."""

    def reported(self, parameter: str) -> str | None: ...
    def run(self, sql: str) -> Sequence[tuple[str | None, ...]]: ...


@dataclass(frozen=True, slots=True)
class HostRules:
    hosts: tuple[str, ...]
    """Names, addresses or paths to connect to, in their order."""
    names: tuple[str, ...]
    """By the same order, what the server's certificate is to be for."""
    wanted: str
    """A value of `target_session_attrs`."""

    @property
    def choosing(self) -> bool:
        """Whether it takes a login to know which host is the one."""
        return len(self.hosts) > 1 or self.wanted != "any"

    @property
    def rounds(self) -> tuple[str, ...]:
        """What is wanted in each round over all hosts."""
        return ("standby", "any") if self.wanted == "prefer-standby" else (self.wanted,)

    def name_of(self, host: str) -> str:
        return self.names[self.hosts.index(host)]


def read_rules(host: str, defaults: Mapping[str, str]) -> HostRules:
    """`defaults` are what libpq takes where dbt gives nothing, by its own names."""
    names = host.split(",")
    hosts = defaults["hostaddr"].split(",") if defaults.get("hostaddr") else names
    if len(hosts) != len(names):
        raise ComputeConfigurationError(
            f"PGHOSTADDR has {len(hosts)} addresses for {len(names)} of `host`: libpq wants one for each"
        )
    order = list(range(len(names)))
    if defaults.get("load_balance_hosts") == "random":
        random.shuffle(order)
    return HostRules(
        tuple(hosts[each] for each in order),
        tuple(names[each] for each in order),
        defaults.get("target_session_attrs", "any"),
    )


def why_unwanted(session: OpenSession, wanted: str) -> str | None:
    """Why an open session is not what `target_session_attrs` wants; None where it is."""
    if wanted in {"read-write", "read-only"}:
        fits = _is_read_only(session) is (wanted == "read-only")
    elif wanted in {"primary", "standby"}:
        fits = _is_standby(session) is (wanted == "standby")
    else:
        fits = True
    return None if fits else f"{_REFUSED_BECAUSE[wanted]}, and target_session_attrs wants {wanted}"


def _is_read_only(session: OpenSession) -> bool:
    reported = [session.reported(name) for name in ("default_transaction_read_only", "in_hot_standby")]
    if None in reported:  # before Postgres 14, and by poolers
        return session.run("SHOW transaction_read_only")[0][0] == "on"
    return "on" in reported


def _is_standby(session: OpenSession) -> bool:
    reported = session.reported("in_hot_standby")
    if reported is None:
        return session.run("SELECT pg_catalog.pg_is_in_recovery()")[0][0] == "t"
    return reported == "on"
