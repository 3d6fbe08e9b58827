"""Files from Maven Central, by Maven itself and by their hash."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:2.8:get"
_ATTEMPTS = 3
_SECONDS = 900
"""For one attempt: the largest file is 800 MB."""


@dataclass(frozen=True, slots=True)
class Artifact:
    group: str
    name: str
    version: str
    packaging: str
    sha256: str

    @property
    def coordinates(self) -> str:
        return f"{self.group}:{self.name}:{self.version}:{self.packaging}"

    @property
    def file(self) -> Path:
        """Where Maven keeps it."""
        folder = _repository() / self.group.replace(".", "/") / self.name / self.version
        return folder / f"{self.name}-{self.version}.{self.packaging}"


def _repository() -> Path:
    """Maven's usual one. It is given to Maven too, for which a home is what the system says, not HOME."""
    return Path.home() / ".m2" / "repository"


def unavailable() -> str | None:
    """Why nothing can be downloaded or built here; None where it can."""
    return None if shutil.which("mvn") else "needs Maven: apt-get install maven"


def fetched(artifact: Artifact) -> Path:
    """The file, downloaded where it is not there yet. Raises `RuntimeError` with Maven's words."""
    command = ["mvn", "-q", "-B", f"-Dmaven.repo.local={_repository()}", _PLUGIN]
    command += [f"-Dartifact={artifact.coordinates}", "-Dtransitive=false"]
    said = ""
    for _ in range(_ATTEMPTS):
        if _is_whole(artifact):
            return artifact.file
        if problem := unavailable():
            raise RuntimeError(f"{artifact.coordinates}: {problem}")
        artifact.file.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        said = done.stdout[-2000:]
    if _is_whole(artifact):
        return artifact.file
    raise RuntimeError(f"{artifact.coordinates} is not to be had, or has another hash:\n{said}")


def _is_whole(artifact: Artifact) -> bool:
    if not artifact.file.is_file():
        return False
    with artifact.file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == artifact.sha256
