"""Volumes of a pod: files of ConfigMaps and Secrets, replaced at once, and empty directories in memory."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import TYPE_CHECKING

from conformance.pod.container import Bind
from conformance.pod.objects import MissingObjectError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from conformance.pod.fields import Mount, PodSpec, Volume
    from conformance.pod.objects import Objects
    from conformance.pod.sandbox import Sandbox

_SUFFIXES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class Volumes:
    """Of one pod, each a tmpfs in its mount namespace."""

    def __init__(self, sandbox: Sandbox, spec: PodSpec, objects: Objects) -> None:
        self._sandbox, self._objects = sandbox, objects
        self._group = spec.security_context.fs_group
        self._volumes = {each.name: each for each in spec.volumes}

    def outside(self, name: str) -> Path:
        return self._sandbox.outside(f"volumes/{name}")

    def bind(self, mount: Mount) -> Bind:
        """Files of ConfigMaps and Secrets are never written by a container."""
        read_only = mount.read_only or self._volumes[mount.name].empty_dir is None
        return Bind(self._sandbox.inside(f"volumes/{mount.name}"), mount.mount_path, read_only)

    def make(self) -> None:
        for name, volume in self._volumes.items():
            empty = volume.empty_dir
            options = "mode=0755" if empty is None else memory_options(empty.size_limit, self._group)
            self.outside(name).mkdir(parents=True)
            place = self._sandbox.inside(f"volumes/{name}")
            self._sandbox.run("mount", "-t", "tmpfs", "-o", options, name, place)

    def project(self) -> Iterator[str]:
        """Names of those whose files were not what the ConfigMaps and Secrets are now. Of a missing one the
        files stay as they were."""
        for name, volume in self._volumes.items():
            with contextlib.suppress(MissingObjectError):
                if (found := self._files(volume)) and project(self.outside(name), *found, self._group):
                    yield name

    def _files(self, volume: Volume) -> tuple[dict[str, bytes], int] | None:
        """And their mode; None for an empty directory."""
        if (source := volume.config_map) is not None:
            return self._objects.data("ConfigMap", source.name, optional=source.optional), source.default_mode
        if (secret := volume.secret) is not None:
            data = self._objects.data("Secret", secret.secret_name, optional=secret.optional)
            return data, secret.default_mode
        return None


def project(directory: Path, files: Mapping[str, bytes], mode: int, group: int | None) -> bool:
    """Make these the files of `directory`, all in one moment; whether that changed anything.

    As the kubelet: they lie in a new directory of their own, to which the link `..data` is moved by a rename;
    each name is a link through it. With a `group` they are its, and it may read them.
    """
    current = directory / "..data"
    if current.is_symlink() and _content(current) == dict(files):
        return False
    former = current.readlink() if current.is_symlink() else None
    made = directory / f"..{time.time_ns()}"
    made.mkdir()
    _own(made, 0o755, group)
    for name, content in files.items():
        (made / name).write_bytes(content)
        _own(made / name, mode if group is None else mode | 0o440, group)
    beside = directory / "..data_tmp"
    beside.symlink_to(made.name)
    beside.replace(current)
    for name in files:
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    for link in directory.iterdir():
        if not link.name.startswith("..") and link.name not in files:
            link.unlink()
    if former is not None:
        shutil.rmtree(directory / former)
    return True


def _content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _own(path: Path, mode: int, group: int | None) -> None:
    path.chmod(mode)
    if group is not None:
        os.chown(path, -1, group)


def size(limit: str) -> int:
    """Bytes of a quantity such as `16Mi`."""
    return int(limit.rstrip("KMGi")) * _SUFFIXES.get(limit[-2:], 1)


def memory_options(limit: str, group: int | None) -> str:
    """Of a tmpfs that all of the pod may write: what is over the limit does not fit."""
    owner = "mode=0777" if group is None else f"mode=2777,gid={group}"
    return f"size={size(limit)},{owner}"
