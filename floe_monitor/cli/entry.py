"""Runs the command line: errors become short messages and exit codes, and a hung worker delays no exit."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from floe_monitor.cli import startup_collections
from floe_monitor.cli.terminal import (
    BROKEN_PIPE,
    FAULT,
    INTERRUPTED,
    UNWRITABLE,
    USAGE,
    CliError,
    complain,
    note,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and end the process."""
    startup_collections.put_off()
    open_standard_streams()
    if os.getpid() == 1:
        from floe_monitor.daemon.init_process import fork_from_init  # noqa: PLC0415 - only in a container

        fork_from_init()
    given = list(sys.argv[1:] if arguments is None else arguments)
    ours = _own_words(given)
    debug = "--debug" in given[:ours]
    try:
        code = run([*(word for word in given[:ours] if word != "--debug"), *given[ours:]], debug=debug)
    except BaseException as error:
        if not _is_interruption(error):
            raise
        code = _interrupted()
    leave(code)


def _own_words(given: Sequence[str]) -> int:
    """How many of the words are this command line's own: those after `--`, or `exec`, may be another's."""
    command = next((number for number, word in enumerate(given) if not word.startswith("-")), len(given))
    if given[command : command + 1] == ["exec"]:
        return command
    return given.index("--") if "--" in given else len(given)


def run(arguments: Sequence[str], *, debug: bool = False) -> int:
    """The exit code of one command line. `debug`: tracebacks too."""
    import typer  # noqa: PLC0415 - after the process could already say no

    from floe_monitor.cli.app import app  # noqa: PLC0415 - as above

    # typer carries a click of its own, under a private name; its public errors lead to it.
    usage_errors = [kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"]

    try:
        with contextlib.suppress(AttributeError, ValueError):
            sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
        code = app(list(arguments), prog_name="floe-monitor", standalone_mode=False)
        sys.stdout.flush()
        if code == INTERRUPTED:  # by typer, of an interruption; a status to be handed on comes as SystemExit
            return _interrupted()
    except CliError as error:
        complain(str(error))
        code = error.code
    except (KeyboardInterrupt, typer.Abort):
        code = _interrupted()
    except SystemExit as error:
        # typer ends so after a broken pipe and after answering a shell's completion, and exec at its end.
        code = BROKEN_PIPE if isinstance(error.__context__, BrokenPipeError) else error.code
    except BrokenPipeError:
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - no traceback unless asked for
        if _is_interruption(error):
            return _interrupted()
        if isinstance(error, tuple(usage_errors)):
            error.show()  # type: ignore[attr-defined]  # click's, as above
            return USAGE
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            complain(f"the output cannot be written: {error.strerror}")
            return UNWRITABLE
        if debug:
            import traceback  # noqa: PLC0415 - 10 ms that only a fault is worth

            traceback.print_exc()
        complain(f"unexpected {type(error).__name__}: {_first_line(error)}")
        if not debug:
            note("This is a fault of floe-monitor. Run it again with --debug to see where.")
        code = FAULT
    return code if isinstance(code, int) else 0


def open_standard_streams() -> None:
    """Give a process started without some of descriptors 0 to 2 the null device there: the next socket would
    else take the number, and what a driver prints would go to a database."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def leave(code: int) -> NoReturn:
    """End at once: a worker that hangs in its driver would delay a normal exit, or abort it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _interrupted() -> int:
    note("interrupted")
    return INTERRUPTED


def _is_interruption(error: BaseException | None) -> bool:
    """Some libraries turn what is raised in a callback of theirs into an error of their own."""
    for _ in range(20):
        if error is None or isinstance(error, KeyboardInterrupt):
            break
        error = error.__cause__ or error.__context__
    return isinstance(error, KeyboardInterrupt)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else "no message"
