"""Output: colour and width for a terminal, plain unwrapped lines for everything else."""

from __future__ import annotations

import os
import sys
from typing import IO, TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

OK, NO, USAGE, FAULT, UNWRITABLE, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 70, 74, 130, 141
_PIPE_WIDTH = 10_000

SYMBOLS = {"healthy": "✓", "degraded": "!", "unhealthy": "✕", "unknown": "?"}
STYLES = {"healthy": "green", "degraded": "yellow", "unhealthy": "bold red", "unknown": "dim"}


class CliError(Exception):
    """What went wrong, for stderr, without a traceback: what, where, and what to do."""

    def __init__(self, *lines: str, code: int = USAGE) -> None:
        super().__init__("\n".join(lines))
        self.code = code


def write(text: str) -> None:
    """One text to stdout as it is, with a newline if it ends in none.

    Where the stream's encoding lacks a letter the text is written as UTF-8, which YAML and JSON are by their
    definition: a document with `?` for letters is another one, and nothing would show it.
    """
    text = text if text.endswith("\n") else f"{text}\n"
    bytes_below = getattr(sys.stdout, "buffer", None)
    if bytes_below is None or _encodable(text, sys.stdout) == text:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    bytes_below.write(text.encode("utf-8", "backslashreplace"))
    bytes_below.flush()


def complain(text: str) -> None:
    """One text to stderr, `error:` before it."""
    red, off = ("\x1b[1;31m", "\x1b[0m") if colours(sys.stderr) else ("", "")
    note(f"{red}error:{off} {text}")


def note(text: str) -> None:
    """One line to stderr."""
    sys.stderr.write(_encodable(f"{text}\n", sys.stderr))
    sys.stderr.flush()


def colours(stream: IO[str]) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(stream: IO[str] | None = None) -> Console:
    """A rich console for stdout, or the stream given."""
    from rich.console import Console  # noqa: PLC0415 - JSON output does without

    class Piped(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError

    stream = stream or sys.stdout
    terminal = stream.isatty()
    return Piped(
        file=stream,
        width=None if terminal else _PIPE_WIDTH,
        no_color=not colours(stream),
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=False,
    )


def unknown(what: str, word: str, known: Iterable[str]) -> CliError:
    """As `no target 'dve'; did you mean 'dev'?`."""
    from floe_monitor.compute.toolkit.suggestions import suggestion  # noqa: PLC0415 - pydantic comes with it

    hint = suggestion(word, known)
    return CliError(f"{what} {word!r}; {hint}" if hint else f"{what} {word!r}")


def _encodable(text: str, stream: IO[str]) -> str:
    """`text` with what the stream's encoding lacks as `?` (a C locale has no ✓)."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)
