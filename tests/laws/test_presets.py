"""Order of the presets, and steps that never get shorter: every model, legal layout and kind of network."""

import itertools
import random

import numpy as np
import pytest

from roofcalc.physics.roofline import decode
from tests import catalogs
from tests.catalogs import drawn, on
from tests.tiers import share

SEQS = np.array([1.0, 130, 4096, 8191, 8192, 8193, 70_001, 1_000_000])[:, None]
BATCHES = np.array([1.0, 2, 3, 7, 8, 9, 33, 64, 257, 1000, 50_000])
ORDER = ({"assume": "bound"}, {"overlap": "full"}, {"overlap": "net"}, {"overlap": "op"}, {"overlap": "none"})
NETWORKS = ("8xh100-sxm", "16xh100-sxm", "8xmi300x", "torus-16", "dgx-b200")


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_nothing_beats_the_bound(name: str) -> None:
    for machine, count in (("8xh100-sxm", None), ("16xh100-sxm", 2), ("8xmi300x", 1), ("torus-16", 1)):
        for where in share(drawn(name, machine, count), 4 if count is None else 1, name):
            for tokens in (1, 4):
                floor, time = (decode(on(name, machine, assume=preset, **where), SEQS, tokens).seconds(BATCHES) for preset in ("bound", "roofline"))
                assert (floor <= time * (1 + 1e-12)).all() and (floor > 0).all() and np.isfinite(time).all(), (machine, where, tokens)


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_presets_in_order(name: str) -> None:
    for machine in random.Random(catalogs.short(name)).sample(NETWORKS, 3):
        for where in drawn(name, machine, 1):
            times = [decode(on(name, machine, **where, **given), SEQS).seconds(BATCHES) for given in ORDER]
            for faster, slower in itertools.pairwise(times):
                assert (faster <= slower * (1 + 1e-12)).all(), (machine, where)


@pytest.mark.parametrize("name", catalogs.MODELS, ids=catalogs.short)
def test_steps_never_get_shorter(name: str) -> None:
    batches = np.arange(1.0, 140)[:, None]
    contexts = np.concatenate([np.arange(1.0, 300, 7), np.arange(8150.0, 8250, 5), np.geomspace(9000, 2e6, 30).round()])
    for machine in random.Random(catalogs.short(name)[::-1]).sample(NETWORKS, 2):
        for where in drawn(name, machine, 1):
            for given in ORDER:
                time = decode(on(name, machine, **where, **given), contexts).seconds(batches)
                assert (np.diff(time, axis=0) >= -1e-12 * time[1:]).all(), (machine, where, given)
                if "assume" not in given:  # the floor takes a chunk's own position: full again and again
                    assert (np.diff(time, axis=1) >= -1e-12 * time[:, 1:]).all(), (machine, where, given)
