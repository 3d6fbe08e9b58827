"""What a container is given: variables, command line, files of ConfigMaps and Secrets."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from conformance.pod import volumes
from conformance.pod.container import Identity, Image, without_links
from conformance.pod.fields import Container, PodSecurityContext, SecurityContext, read
from conformance.pod.objects import MissingObjectError, Objects
from conformance.pod.variables import command_line, environment, expand
from tests.conformance.pod.test_fields import CONTAINER

FIELDS = {"metadata.name": "pod-1"}


def test_variables_refer_to_those_before_them_and_override_the_images() -> None:
    objects = Objects(
        [
            {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"A": "a", "B": "b"}},
            {
                "kind": "Secret",
                "metadata": {"name": "s"},
                "data": {"key": base64.b64encode(b"it").decode()},
            },
            {"kind": "Service", "metadata": {"name": "other"}},
        ]
    )
    env = [
        {"name": "B", "value": "$(A)-$(LATER)-$$(A)"},
        {"name": "LATER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "no", "optional": True}}},
    ]
    container = read(Container, CONTAINER | {"env": env, "envFrom": [{"configMapRef": {"name": "c"}}]})
    assert environment(container, objects, FIELDS, {"A": "image", "PATH": "/bin"}) == {
        "PATH": "/bin",
        "A": "a",
        "B": "a-$(LATER)-$(A)",
        "LATER": "pod-1",
        "S": "it",
    }
    assert expand("$(S", {"S": "x"}) == "$(S"


@pytest.mark.parametrize(
    ("reference", "told"),
    [({"name": "x", "key": "k"}, "Secret 'x' not found"), ({"name": "s", "key": "k"}, "has no key 'k'")],
)
def test_a_missing_object_keeps_a_container_from_starting(reference: dict[str, str], told: str) -> None:
    objects = Objects([{"kind": "Secret", "metadata": {"name": "s"}}])
    env = [{"name": "A", "valueFrom": {"secretKeyRef": reference}}]
    with pytest.raises(MissingObjectError, match=told):
        environment(read(Container, CONTAINER | {"env": env}), objects, FIELDS, {})


@pytest.mark.parametrize(
    ("own", "words"),
    [
        ({}, ["floe-monitor", "run"]),
        ({"args": ["wait", "$(T)"]}, ["floe-monitor", "wait", "dev"]),
        ({"command": ["sh"]}, ["sh"]),
        ({"command": ["sh"], "args": ["-c"]}, ["sh", "-c"]),
    ],
)
def test_the_command_line_is_the_images_as_far_as_it_is_not_replaced(
    own: dict[str, list[str]], words: list[str]
) -> None:
    container = read(Container, CONTAINER | own)
    assert command_line(container, {"T": "dev"}, ["floe-monitor"], ["run"]) == words


@pytest.mark.parametrize(
    ("pod", "user", "group", "groups"),
    [
        ({}, 10001, 10001, (10001,)),
        ({"runAsUser": 7, "fsGroup": 9}, 7, 0, (0, 9)),
        ({"runAsUser": 7, "runAsGroup": 8, "supplementalGroups": [5]}, 7, 8, (8, 5)),
    ],
)
def test_who_a_container_is(pod: dict[str, int], user: int, group: int, groups: tuple[int, ...]) -> None:
    context = read(PodSecurityContext, {"runAsNonRoot": True, **pod})
    own = read(SecurityContext, CONTAINER["securityContext"])
    image = Image(Path("/"), {}, user=10001, group=10001)
    assert Identity.of(context, own, image) == Identity(user, group, groups)
    if not pod:
        with pytest.raises(ValueError, match="will run as root"):
            Identity.of(context, own, Image(Path("/"), {}))


def test_files_are_replaced_by_one_rename(tmp_path: Path) -> None:
    assert volumes.project(tmp_path, {"a": b"1", "b": b"1"}, 0o644, None)
    assert not volumes.project(tmp_path, {"a": b"1", "b": b"1"}, 0o644, None), "nothing changed"
    assert (tmp_path / "a").readlink() == Path("..data/a")
    with (tmp_path / "a").open() as opened:
        assert volumes.project(tmp_path, {"a": b"2", "c": b"2"}, 0o400, None)
        assert opened.read() == "1"
    assert {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()} == {
        "a": "2",
        "c": "2",
    }
    assert (tmp_path / "c").stat().st_mode & 0o777 == 0o400
    assert len([path for path in tmp_path.iterdir() if path.name.startswith("..")]) == 2, (
        "..data and its files"
    )
    assert not (tmp_path / "b").is_symlink()


def test_sizes() -> None:
    assert [volumes.size(each) for each in ("5", "1Ki", "16Mi", "1Gi")] == [5, 2**10, 2**24, 2**30]
    assert volumes.memory_options("1Ki", None) == "size=1024,mode=0777"
    assert volumes.memory_options("1Ki", 9) == "size=1024,mode=2777,gid=9"


def test_a_mount_point_is_found_within_its_root(tmp_path: Path) -> None:
    """A link of an image leads nowhere outside it."""
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")
    (tmp_path / "var" / "up").symlink_to("../../../run/./x")
    (tmp_path / "loop").symlink_to("loop")
    assert without_links(tmp_path, "/var/run/secrets/a") == "/run/secrets/a"
    assert without_links(tmp_path, "/var/up") == "/run/x"
    assert without_links(tmp_path, "/") == "/"
    with pytest.raises(OSError, match="links without end: /loop"):
        without_links(tmp_path, "/loop")
