"""By which listener a request came in: what is judged by that, and by nothing a client could write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from starlette.types import Scope

STATE = "state"
_KEY = "listener"


@dataclass(frozen=True, slots=True)
class ListenerIdentity:
    """`loopback` and `socket` are reached by this machine alone. `host`: the address or name listened on."""

    kind: Literal["loopback", "socket", "network"]
    host: str = ""

    @property
    def local(self) -> bool:
        return self.kind != "network"

    @property
    def state(self) -> dict[str, object]:
        """For the server, which copies it into the scope of each request."""
        return {_KEY: self}


def listener_of(scope: Scope) -> ListenerIdentity:
    """A request that does not say counts as from outside."""
    found = scope.get(STATE, {}).get(_KEY)
    return found if isinstance(found, ListenerIdentity) else ListenerIdentity("network")
