"""How a message leaves: what every way of sending is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from floe_monitor.notifications.notice import Message


class SendError(Exception):
    """It was not taken, or nobody knows. The text holds no secret.

    `refused`: the message itself was, so that it will hardly be taken later. `retry_after`: in seconds, as
    the receiver asked for.
    """

    def __init__(self, text: str, *, refused: bool = False, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.refused = refused
        self.retry_after = retry_after


class Transport(Protocol):
    def send(self, message: Message) -> None:
        """Return once it was taken. Raises `SendError`; nothing else, and by its deadline."""
