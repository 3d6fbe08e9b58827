"""What a target needs that ends at a known time, and from when on that is warned of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ExpiryKind
from floe_monitor.domain.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.compute.models import Expiry

_WORDS = {
    ExpiryKind.SERVER_CERTIFICATE: "the server's certificate",
    ExpiryKind.PASSWORD: "the password",
    ExpiryKind.TOKEN: "the token",
    ExpiryKind.KEY: "the key",
}
_UNITS = ((86_400.0, "day"), (3_600.0, "hour"), (60.0, "minute"))


@dataclass(frozen=True, slots=True)
class ExpiryLead:
    """How long before their ends it is warned of them, in seconds; 0 for not at all."""

    usual: float = 14 * 86_400.0
    token: float | None = None
    """Of tokens; None for `usual`."""

    def of(self, what: ExpiryKind) -> float:
        return self.token if what is ExpiryKind.TOKEN and self.token is not None else self.usual


@dataclass(frozen=True, slots=True)
class WatchedExpiry:
    """`at` in Unix time; `lead` seconds before it begins the time of the warning, if there is one."""

    what: ExpiryKind
    at: float
    of: str
    lead: float

    def is_near(self, now: float) -> bool:
        return self.lead > 0 and self.at - now <= self.lead

    def warning(self, now: float) -> str:
        moment = datetime.fromtimestamp(self.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        named = self.of or _WORDS[self.what]
        if self.at <= now:
            return f"{named} has expired: {moment}"
        return f"{named} expires in {_span(self.at - now)}: {moment}"


def watched(expiries: Iterable[Expiry], lead: ExpiryLead) -> tuple[WatchedExpiry, ...]:
    return tuple(WatchedExpiry(each.what, each.at, each.of, lead.of(each.what)) for each in expiries)


def known_after(
    before: tuple[WatchedExpiry, ...], learned: tuple[WatchedExpiry, ...], *, whole: bool
) -> tuple[WatchedExpiry, ...]:
    """What is known of a target's expiries after one more validation.

    One that failed or did not return, not `whole`, may not have come to what it would have learned: of that
    the former knowledge holds, so that the end of a password is known also when it has ended the login. The
    same object as `before` where nothing is new.
    """
    kinds = {each.what for each in learned}
    held = () if whole else tuple(each for each in before if each.what not in kinds)
    known = (*learned, *held)
    return before if known == before else known


def _span(seconds: float) -> str:
    """In the largest unit that there are two of; less than a minute is in seconds."""
    for size, name in _UNITS:
        count = int(seconds / size)
        if count >= 2 or (count == 1 and name == "minute"):
            return counted(count, name)
    return counted(int(seconds), "second")
