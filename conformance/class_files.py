"""What a Java class file declares, and which members of other classes it uses."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

PUBLIC, STATIC, SYNTHETIC, ENUM = 0x0001, 0x0008, 0x1000, 0x4000
"""Access flags of members."""
_UTF8, _CLASS, _NAME_AND_TYPE = 1, 7, 12
_MEMBERS = {9, 10, 11}
_SIZES = {
    3: 4,
    4: 4,
    5: 8,
    6: 8,
    7: 2,
    8: 2,
    9: 4,
    10: 4,
    11: 4,
    12: 4,
    15: 3,
    16: 2,
    17: 4,
    18: 4,
    19: 2,
    20: 2,
}
"""Bytes after the tag of each kind of constant that is not text."""
_TWO_ENTRIES = {5, 6}
_PAIRS = {*_MEMBERS, _NAME_AND_TYPE}
_IN_DESCRIPTOR = re.compile(r"L([\w/$]+)[;<]")


@dataclass(frozen=True, slots=True)
class Member:
    """A method or a field; a method's descriptor begins with a parenthesis."""

    name: str
    descriptor: str

    @property
    def parameters(self) -> list[str]:
        """Their descriptors."""
        return re.findall(r"\[*(?:L[^;]+;|[BCDFIJSZ])", self.descriptor[1 : self.descriptor.index(")")])

    @property
    def result(self) -> str:
        """The descriptor of what a method returns."""
        return self.descriptor[self.descriptor.index(")") + 1 :]


@dataclass(slots=True)
class ClassFile:
    """Names are with slashes, as in the file."""

    name: str
    declared: list[tuple[int, Member]]
    """With their access flags."""
    uses: dict[str, set[Member]] = field(default_factory=dict)
    """Members, by the class that they are asked of."""
    mentioned: set[str] = field(default_factory=set)
    """Classes, whether members of theirs are used or not."""


def read(data: bytes) -> ClassFile:
    pool, at = _constants(data)

    def text(index: int) -> str:
        found = pool[index]
        assert isinstance(found, str)  # noqa: S101 - by the format
        return found

    def pair(index: int) -> tuple[int, int]:
        found = pool[index]
        assert isinstance(found, tuple)  # noqa: S101 - by the format
        return found[1], found[-1]

    def class_name(index: int) -> str:
        name = text(pair(index)[0])
        return name.lstrip("[").removeprefix("L").removesuffix(";") if name.startswith("[") else name

    _, this, _, interfaces = struct.unpack_from(">4H", data, at)
    found = ClassFile(class_name(this), _declared(data, at + 8 + 2 * interfaces, pool))
    for index, entry in enumerate(pool):
        if isinstance(entry, str):
            if entry[:1] in {"(", "L", "["}:
                found.mentioned.update(_IN_DESCRIPTOR.findall(entry))
        elif entry is not None and entry[0] == _CLASS:
            found.mentioned.add(class_name(index))
        elif entry is not None and entry[0] in _MEMBERS:
            owner, signature = pair(index)
            name, descriptor = pair(signature)
            found.uses.setdefault(class_name(owner), set()).add(Member(text(name), text(descriptor)))
    return found


_Constant = str | tuple[int, ...] | None


def _constants(data: bytes) -> tuple[list[_Constant], int]:
    """Texts, and others as their tag and the numbers of what they refer to; and where the pool ends."""
    (count,) = struct.unpack_from(">H", data, 8)
    pool: list[_Constant] = [None] * count
    at, index = 10, 1
    while index < count:
        tag = data[at]
        if tag == _UTF8:
            (size,) = struct.unpack_from(">H", data, at + 1)
            at += 2
            pool[index] = data[at + 1 : at + 1 + size].decode("utf-8", "replace")
        else:
            size = _SIZES[tag]
            pool[index] = (tag, *struct.unpack_from(">HH" if tag in _PAIRS else ">H", data, at + 1))
        at += 1 + size
        index += 2 if tag in _TWO_ENTRIES else 1
    return pool, at


def _declared(data: bytes, at: int, pool: list[_Constant]) -> list[tuple[int, Member]]:
    """Fields, then methods."""
    found: list[tuple[int, Member]] = []
    for _ in range(2):
        (count,) = struct.unpack_from(">H", data, at)
        at += 2
        for _ in range(count):
            access, name, descriptor, attributes = struct.unpack_from(">4H", data, at)
            at += 8
            for _ in range(attributes):
                at += 6 + struct.unpack_from(">I", data, at + 2)[0]
            found.append((access, Member(str(pool[name]), str(pool[descriptor]))))
    return found
