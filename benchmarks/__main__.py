"""Everything claimed about speed, measured now: `make bench`, or `python -m benchmarks NAME…` for some."""

from __future__ import annotations

import importlib
import os
import sys

from benchmarks.report import show

ALL = ("overhead", "startup", "scrape", "scale", "sizing", "abuse", "rules", "history", "page")


def main() -> int:
    names = sys.argv[1:] or ALL
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    # Where it is set, each process that is measured would compile every module anew, unlike a user's.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in names:
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            show([row])
    return 0


sys.exit(main())
