"""Numbers with what they count."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """`1 target`, `2 targets`: for a noun whose plural is made with an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
