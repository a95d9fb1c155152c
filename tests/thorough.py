"""How much of the long proofs is played: a share of them with every change, all of them before a release.

`VGEN_TEST_ALL=1` plays all: 2,000 schedules, every durable point, every protocol. Nothing is drawn anew: what is left
out is left out each time.
"""

import os
from collections.abc import Sequence
from typing import TypeVar

ALL = os.environ.get("VGEN_TEST_ALL") == "1"
T = TypeVar("T")


def some(things: Sequence[T], one_in: int) -> Sequence[T]:
    """One in so many of them, the first included; all of them if all are asked for."""
    return things if ALL else things[::one_in]
