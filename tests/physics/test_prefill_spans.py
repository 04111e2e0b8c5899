"""Closed forms of what a prefill reads, against entries counted one by one."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from roofcalc.physics.kv_span import Chunk, Full, Pool, Span, Sum, Top, Window
from roofcalc.physics.kv_storage import Reserved, SharedKV

CACHED = (0, 1, 2, 3, 6, 7, 8, 9, 15, 16, 17, 40, 99, 100, 101)
NEW = (1, 2, 3, 4, 7, 8, 9, 16, 17, 31, 64, 130)
Entries = Callable[[int], set[Any]]  # those that the token at position s, counted from 1, may look at


def full(s: int) -> set[Any]:
    return set(range(1, s + 1))


def window(width: int) -> Entries:
    return lambda s: {i for i in range(1, s + 1) if i > s - width}


def chunk(size: int) -> Entries:
    return lambda s: {i for i in range(1, s + 1) if (i - 1) // size == (s - 1) // size}


def pool(ratio: int) -> Entries:
    return lambda s: {("block", i // ratio) for i in range(1, s + 1) if i % ratio == 0}


def most(count: int, among: Entries) -> Entries:
    return lambda s: set(itertools.islice(among(s), count))


def together(*kinds: Entries) -> Entries:
    return lambda s: {(n, one) for n, kind in enumerate(kinds) for one in kind(s)}


SPANS: list[tuple[Span, Entries]] = [
    (Full(), full),
    *((Window(w), window(w)) for w in (1, 2, 8, 16, 1000)),
    *((Chunk(q, exact), chunk(q)) for q in (1, 2, 8, 17, 1000) for exact in (False, True)),
    *((Pool(r), pool(r)) for r in (1, 2, 4, 16, 128)),
    *((Top(Full(), k), most(k, full)) for k in (1, 2, 16, 64, 1000)),
    *((Top(Pool(r), k), most(k, pool(r))) for r, k in ((4, 1), (4, 2), (4, 16), (2, 1000), (1, 3))),
    (Top(Full(), (3 + 1) * 8), most(32, full)),  # three chosen blocks of 8 tokens, and the nearest
    *((Sum((Pool(r), Window(w))), together(pool(r), window(w))) for r, w in ((4, 8), (16, 1), (128, 3))),
    *((Sum((Top(Pool(4), k), Window(8))), together(most(k, pool(4)), window(8))) for k in (1, 5, 100)),
    (Reserved(Window(8)), window(8)),
    (SharedKV(Full()), full),
    (SharedKV(Window(3)), window(3)),
]
NAMES = [f"{span}"[:60] for span, _ in SPANS]


@pytest.mark.parametrize(("span", "entries"), SPANS, ids=NAMES)
def test_pairs_are_those_that_one_finds_by_counting(span: Span, entries: Entries) -> None:
    sizes = [len(entries(s)) for s in range(1, CACHED[-1] + NEW[-1] + 1)]
    for cached, new in itertools.product(CACHED, NEW):
        assert float(span.pairs(float(cached), float(new))) == sum(sizes[cached : cached + new]), (cached, new)


@pytest.mark.parametrize(("span", "entries"), SPANS, ids=NAMES)
def test_pairs_of_pieces_add_up_and_arrays_are_loops(span: Span, entries: Entries) -> None:
    cached, new = (np.array(axis, dtype=float) for axis in np.meshgrid(CACHED, NEW))
    whole = np.asarray(span.pairs(cached, new))
    assert whole.shape == cached.shape
    for at in np.ndindex(whole.shape):
        assert whole[at] == float(span.pairs(cached[at], new[at]))
    for first in (1.0, 3.0, 8.0):
        pieces = np.asarray(span.pairs(cached, first)) + np.asarray(span.pairs(cached + first, new))
        np.testing.assert_array_equal(pieces, np.asarray(span.pairs(cached, first + new)))


@pytest.mark.parametrize(("span", "entries"), SPANS, ids=NAMES)
def test_one_token_reads_what_a_decode_step_reads(span: Span, entries: Entries) -> None:
    for seq in range(1, 150):
        expected = len(entries(seq))
        if not (isinstance(span, Chunk) and not span.exact):  # whose decode takes the fullest step
            assert float(span.entries_read(float(seq))) == expected, seq
        assert float(span.pairs(seq - 1.0, 1.0)) == expected
        assert float(span.prefill_traffic(seq - 1.0, 1.0)) == expected


@pytest.mark.parametrize(("span", "entries"), SPANS, ids=NAMES)
def test_each_entry_is_moved_once(span: Span, entries: Entries) -> None:
    """Loaded: what any of the new tokens looks at of the cached part. Written: what of the new tokens is kept."""
    chosen = isinstance(span, Top) or (isinstance(span, Sum) and isinstance(span.parts[0], Top))
    for cached, new in itertools.product(CACHED, NEW):
        moved = float(span.prefill_traffic(float(cached), float(new)))
        looked_at = [entries(s) for s in range(cached + 1, cached + new + 1)]
        if chosen:  # which entries the tokens choose is their own matter: at most k each, at least those of one
            assert len(looked_at[-1]) <= moved <= sum(map(len, looked_at))
            continue
        there = set().union(*(entries(s) for s in range(1, cached + 1)))
        written = min(new, span.size) if isinstance(span, Chunk) else len(looked_at[-1] - there)
        assert moved == len(set().union(*looked_at) & there) + written, (cached, new)


def test_a_chunk_is_read_half_on_average() -> None:
    # Llama 4's 8,192: 1, 2, … 8,192 entries, 4,096.5 on average
    assert Chunk(8192).pairs(0.0, 8192.0) / 8192 == 4096.5
    assert Chunk(8192).pairs(3 * 8192.0, 8192.0) / 8192 == 4096.5


def test_long_contexts_keep_their_last_digits() -> None:
    # tri(10^7) = 10^7 · (10^7 + 1)/2
    assert Full().pairs(0.0, 1e7) == 50_000_005_000_000
    assert Window(4096).pairs(0.0, 1e7) == 4096 * 4097 / 2 + 4096 * (10**7 - 4096)
    assert Top(Pool(4), 512).pairs(0.0, 1e6) == sum(min(s // 4, 512) for s in range(1, 10**6 + 1))
