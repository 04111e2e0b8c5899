"""How much of a large grid of cases a test tries: all of it nightly, a share of it in the fast tier."""

import os
import random
import zlib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")
NIGHTLY = bool(os.environ.get("ROOFCALC_NIGHTLY"))  # set by `pytest --nightly`


def share(items: Iterable[T], of: int, key: str) -> list[T]:
    """One in `of` items, in their order; all of them nightly.

    The items are dealt at random, but always the same: each key gets one hand, so that tests over many keys (models) try all of them.
    """
    every = list(items)
    if NIGHTLY:
        return every
    dealt = list(range(len(every)))
    random.Random(len(every)).shuffle(dealt)
    return [every[place] for place in sorted(dealt[zlib.crc32(key.encode()) % of :: of])]
