"""A container's environment and command line: sources, precedence and `$(NAME)`, as the kubelet has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.pod.fields import Container, ValueSource
    from conformance.pod.objects import Objects

_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_][A-Za-z0-9_.-]*)\))")


def environment(
    container: Container, objects: Objects, fields: Mapping[str, str], image: Mapping[str, str]
) -> dict[str, str]:
    """The image's variables, then `envFrom`, then `env`, which may refer to what stands before.

    `fields`: values of the pod's fields by path. Raises `MissingObjectError`.
    """
    given: dict[str, str] = {}
    for source in container.env_from:
        if source.secret_ref is not None:
            found = objects.data("Secret", source.secret_ref.name, optional=source.secret_ref.optional)
        elif source.config_map_ref is not None:
            ref = source.config_map_ref
            found = objects.data("ConfigMap", ref.name, optional=ref.optional)
        given |= {source.prefix + key: value.decode() for key, value in found.items()}
    for each in container.env:
        value = (
            expand(each.value, given) if each.value_from is None else _value(each.value_from, objects, fields)
        )
        if value is not None:
            given[each.name] = value
    return {**image, **given}


def _value(source: ValueSource, objects: Objects, fields: Mapping[str, str]) -> str | None:
    if source.field_ref is not None:
        return fields[source.field_ref.field_path]
    if (ref := source.secret_key_ref) is not None:
        return objects.value("Secret", ref.name, ref.key, optional=ref.optional)
    if (ref := source.config_map_key_ref) is not None:
        return objects.value("ConfigMap", ref.name, ref.key, optional=ref.optional)
    raise AssertionError(source)


def command_line(
    container: Container, environment: Mapping[str, str], entrypoint: Sequence[str], command: Sequence[str]
) -> list[str]:
    """`command` replaces the image's entry point and its arguments, `args` its arguments."""
    words = (
        [*container.command, *container.args]
        if container.command
        else [*entrypoint, *(container.args or command)]
    )
    return [expand(word, environment) for word in words]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """`$(NAME)` of a known variable; an unknown one stays, and `$$` is one `$`."""

    def replaced(found: re.Match[str]) -> str:
        name = found[1]
        return "$" if name is None else variables.get(name, found[0])

    return _REFERENCE.sub(replaced, text)
