"""Images that pods here are of: those that buildah made, and one that runs dbt on the base of these."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import environments
from conformance.pod.container import Image
from deploy import images

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PACKAGES, _PROGRAMS = "/opt/dbt/packages", "/opt/dbt/bin"
_DBT = f"""#!/usr/bin/python3
import sys
sys.path[:0] = ["{_PACKAGES}"]
from dbt.cli.main import cli
sys.exit(cli())
"""


def of(image: images.Image, root: Path) -> Image:
    """A built one whose files are at `root`."""
    user, _, group = image.config["User"].partition(":")
    variables = dict(each.split("=", 1) for each in image.config["Env"])
    return Image(
        root=root,
        environment={"PATH": _PATH, **variables},
        entrypoint=image.config["Entrypoint"],
        command=image.config["Cmd"],
        user=int(user),
        group=int(group or 0),
        working_dir=image.config["WorkingDir"],
    )


@contextlib.contextmanager
def dbt(requirements: str, project: Path) -> Iterator[Image]:
    """The base's Python with the packages of an environment here, and the project in /dbt.

    Raises `RuntimeError` where that environment is of another Python than the base.
    """
    [packages] = (environments.built(requirements) / "lib").glob("python*/site-packages")
    if packages.parent.name != "python3.11":
        raise RuntimeError(f"the base has Python 3.11, the environment {packages.parent.name}")
    with tempfile.TemporaryDirectory() as folder, images.mounted(images.base_image()) as root:
        programs = Path(folder)
        programs.chmod(0o755)
        (programs / "dbt").write_text(_DBT)
        (programs / "dbt").chmod(0o755)
        mounts = {_PACKAGES: packages, _PROGRAMS: programs, "/dbt": project}
        yield Image(root=root, environment={"PATH": f"{_PROGRAMS}:{_PATH}"}, mounts=mounts)
