"""Spans against lists of positions: which entries each token may look at, one by one."""

import itertools
from collections.abc import Callable

import pytest

from roofcalc.physics.kv_span import Chunk, Full, Pool, Span, Sum, Top, Window

# Positions count from 1; an entry of a pool is the last token that it stands for.
Sees = Callable[[int], set[int]]


def pool(ratio: int) -> Sees:
    return lambda token: {end for end in range(1, token + 1) if end % ratio == 0}


SPANS: dict[str, tuple[Span, Sees]] = {
    "full": (Full(), lambda token: set(range(1, token + 1))),
    "window 5": (Window(5), lambda token: {other for other in range(1, token + 1) if token - other < 5}),
    "window 1": (Window(1), lambda token: {token}),
    "chunk 6": (Chunk(6, exact=True), lambda token: {other for other in range(1, token + 1) if (other - 1) // 6 == (token - 1) // 6}),
    "pool 4": (Pool(4), pool(4)),
    "pool 7": (Pool(7), pool(7)),
}


@pytest.mark.parametrize("name", SPANS)
def test_what_a_token_reads(name: str) -> None:
    span, sees = SPANS[name]
    for token in range(1, 60):
        assert float(span.entries_read(float(token))) == len(sees(token)), token


@pytest.mark.parametrize("name", [name for name in SPANS if name != "chunk 6"])
def test_tokens_together_read_each_entry_once(name: str) -> None:
    span, sees = SPANS[name]
    for token, new in itertools.product(range(1, 40), (1, 2, 4)):
        seen = set().union(*(sees(one) for one in range(max(1, token - new + 1), token + 1)))
        assert float(span.read_by_tokens(float(new)).entries_read(float(token))) == len(seen), (token, new)


@pytest.mark.parametrize("name", SPANS)
def test_pairs_of_a_prefill(name: str) -> None:
    span, sees = SPANS[name]
    for cached, new in itertools.product((0, 1, 3, 5, 6, 7, 12, 13, 28, 40), (1, 2, 5, 6, 11, 30)):
        pairs = sum(len(sees(cached + one)) for one in range(1, new + 1))
        assert float(span.pairs(float(cached), float(new))) == pairs, (cached, new)


@pytest.mark.parametrize("among", ["full", "pool 4", "pool 7"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_the_best_of_the_candidates(among: str, count: int) -> None:
    candidates, sees = SPANS[among]
    span = Top(candidates, count)
    for token in range(1, 60):
        assert float(span.entries_read(float(token))) == min(len(sees(token)), count)
        assert float(span.entries_stored(float(token))) == len(sees(token))
        assert float(span.read_by_tokens(4.0).entries_read(float(token))) == min(len(sees(token)), 4 * count)
    for cached, new in itertools.product((0, 1, 3, 7, 12, 31, 32, 40), (1, 2, 5, 11, 30)):
        pairs = sum(min(len(sees(cached + one)), count) for one in range(1, new + 1))
        assert float(span.pairs(float(cached), float(new))) == pairs, (cached, new)


def test_a_pool_beside_a_window() -> None:
    span = Sum((Top(Pool(4), 3), Window(5)))
    for token in range(1, 60):
        assert float(span.entries_read(float(token))) == min(token // 4, 3) + min(token, 5)
        assert float(span.entries_stored(float(token))) == token // 4 + min(token, 5)


def test_loaded_and_written_in_a_prefill() -> None:
    # of what was cached, that which any new token sees; of the new tokens, those that the next one may still see, itself included
    for name in ("full", "window 5"):
        span, sees = SPANS[name]
        for cached, new in itertools.product((0, 1, 4, 5, 9, 20), (1, 3, 4, 5, 8)):
            loaded = set().union(*(sees(cached + one) for one in range(1, new + 1))) & set(range(1, cached + 1))
            written = sees(cached + new) & set(range(cached + 1, cached + new + 1))
            assert float(span.prefill_traffic(float(cached), float(new))) == len(loaded) + len(written), (name, cached, new)


def test_decode_takes_the_fullest_step_of_a_chunk() -> None:
    assert [float(Chunk(6).entries_read(float(token))) for token in (1, 6, 7, 100)] == [1, 6, 6, 6]
