"""What another program answers, read without trust in its form."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.bounded_socket import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def json_object(body: bytes | str) -> dict[str, Any]:
    """The object in it; an empty one where it holds anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def protocol_errors_as(kind: Callable[[str], Exception]) -> Iterator[None]:
    """The toolkit's `ProtocolError` in an exception of the plugin's own, with the same text.

    To a plugin it means more than a broken connection: another kind of server answers.
    """
    try:
        yield
    except ProtocolError as error:
        raise kind(str(error)) from error
