"""How work grows with its input, measured against a control in the same run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
ATTEMPTS = 3
NOISE_SECONDS = 0.002
"""Of the clock and the allocator; what is quadratic in inputs of this size is far above."""


def is_linear(function: Callable[[Any], object], make: Callable[[int], Any], size: int) -> bool:
    """Whether an input of `size` costs less than eight times one of a quarter of it; quadratic is sixteen.

    CPU seconds of this thread, the best of some rounds: what else the machine does is not counted but for
    what it takes of the processor's caches, which another attempt may be spared.
    """
    whole, quarter = make(size), make(size // 4)
    function(quarter)
    return any(_cost(function, whole) < 8 * _cost(function, quarter) + NOISE_SECONDS for _ in range(ATTEMPTS))


def _cost(function: Callable[[Any], object], value: Any) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        function(value)
        times.append(time.thread_time() - began)
    return min(times)
