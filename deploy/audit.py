"""`make audit`: ask for advisories on every distribution of the locks, and say what could not be asked.

Status 1: there are advisories. Status 2: not everything was asked about, because no service answered or knew
it: silence is not taken for health.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import environments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SERVICES: tuple[tuple[str, ...], ...] = (("--vulnerability-service=pypi",), ("--vulnerability-service=osv",))
"""In the order in which they are asked, the next one where one answers nothing."""
CLEAN, ADVISORIES, UNASKED = 0, 1, 2
_OPTIONS = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json")


class NoServiceError(Exception):
    """What each said in place of an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one lock: how many are known to the service, who is not, and what there is on the others."""

    known: int
    unknown: tuple[str, ...]
    advisories: tuple[str, ...]


def ask(lock: Path, services: Iterable[tuple[str, ...]] = SERVICES) -> Answer:
    """The first answer that knows of anything. Raises `NoServiceError`."""
    tool = str(environments.built("release.txt") / "bin" / "pip-audit")
    refusals = []
    for service in services:
        done = subprocess.run(
            [tool, *_OPTIONS, *service, "--requirement", str(lock)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not done.stdout.startswith("{"):
            refusals.append((done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1])
            continue
        found = json.loads(done.stdout)["dependencies"]
        unknown = tuple(each["name"] for each in found if "skip_reason" in each)
        if len(unknown) == len(found):
            refusals.append(found[0]["skip_reason"] if found else "it was asked about nothing")
            continue
        advisories = tuple(
            f"{each['name']} {each['version']}: {flaw['id']}, fixed in {_versions(flaw['fix_versions'])}"
            for each in found
            for flaw in each.get("vulns", ())
        )
        return Answer(len(found) - len(unknown), unknown, advisories)
    raise NoServiceError("; ".join(refusals))


def _versions(fixed: Sequence[str]) -> str:
    return " or ".join(fixed) if fixed else "no version"


def main(locks: Sequence[Path], services: Iterable[tuple[str, ...]] = SERVICES) -> int:
    """Every lock is asked about, whatever came of those before it."""
    status = CLEAN
    for lock in locks:
        try:
            answer = ask(lock, services)
        except NoServiceError as error:
            print(
                f"{lock.name}: nothing was audited, for no service of advisories answers from here: {error}"
            )
            status = status or UNASKED
            continue
        print(f"{lock.name}: {answer.known} asked about, {len(answer.advisories) or 'no'} advisories")
        for advisory in answer.advisories:
            print(f"  {advisory}")
            status = ADVISORIES
        if answer.unknown:
            print(f"  not known to the service, and so not audited: {', '.join(answer.unknown)}")
            status = status or UNASKED
    if status == UNASKED:
        print("The audit is incomplete: what was not asked about may have advisories.")
    return status


if __name__ == "__main__":
    sys.exit(main([Path(each) for each in sys.argv[1:]] or sorted(environments.REQUIREMENTS.glob("*.lock"))))
