"""How work grows with its input, measured against a control in the same run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
NOISE_SECONDS = 0.002
"""Of the clock and the allocator; what is quadratic in inputs of this size is far above."""


def is_linear(function: Callable[[Any], object], make: Callable[[int], Any], size: int) -> bool:
    """Whether an input of `size` costs less than three times one of half the size; quadratic is four times.

    CPU seconds of this thread, the best of some rounds: what else the machine does is not counted.
    """
    whole, half = make(size), make(size // 2)
    function(half)
    best = {}
    for name, value in (("half", half), ("whole", whole)):
        times = []
        for _ in range(ROUNDS):
            began = time.thread_time()
            function(value)
            times.append(time.thread_time() - began)
        best[name] = min(times)
    return best["whole"] < 3 * best["half"] + NOISE_SECONDS
