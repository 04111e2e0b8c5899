"""Refits the constants of `roofcalc/deployment/engines.yaml` that are marked (fitted), from logged starts.

`python -m tools.calibrate.engine_memory FILE.csv` takes a CSV with the columns of `roofcalc.measurements.memory_starts`, prints
each constant as it is and as the rows give it, and the errors of cache tokens or concurrency: as the file stands, refitted, and
of each source with constants that were fitted without it. It changes no file.
"""

import argparse
import math
from collections.abc import Iterable
from statistics import median, quantiles
from typing import NamedTuple

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.engines import GIB, rules, split
from roofcalc.deployment.parallelism import Stage
from roofcalc.measurements import memory_compare, memory_starts
from roofcalc.measurements.memory_starts import Start
from roofcalc.physics import memory
from roofcalc.specs.record import replace

NEW, MIDDLE, OLD = ("vllm-0.17", "vllm-0.20", "vllm-0.22", "vllm-0.26"), ("vllm-0.10",), ("vllm-0.1", "vllm-0.8", "vllm-0.9")
ALL = (*NEW, *MIDDLE, *OLD)
SWEEPS, POINTS = 3, 25


class Constant(NamedTuple):
    """A constant of some releases, its lowest and highest sensible value, and the constant that stands in where no row tells."""

    field: str
    releases: tuple[str, ...]
    low: float
    high: float

    @property
    def name(self) -> str:
        return f"{self.field} of {self.releases[0]}…" if len(self.releases) > 1 else f"{self.field} of {self.releases[0]}"


CONSTANTS = (
    Constant("hidden_vectors", ALL, 0, 12),
    Constant("sampler_bytes", NEW, 4, 60),
    Constant("sampler_bytes", (*MIDDLE, *OLD), 4, 60),
    Constant("runtime_gib", NEW, 0, 2),
    Constant("runtime_gib", MIDDLE, 0, 2),
    Constant("runtime_gib", ("vllm-0.9",), 0, 3),
    Constant("runtime_gib", ("vllm-0.1",), 0, 3),
    Constant("switch_gib", NEW, 0, 5),
    Constant("switch_gib", (*MIDDLE, "vllm-0.9"), 0, 5),
    Constant("group_gib", (*NEW, *MIDDLE, "vllm-0.1"), 0, 3),
    Constant("unified_gib", ALL, 0, 5),
    Constant("tower_bytes", ("vllm-0.22", "vllm-0.26"), 0, 20),
)
Values = dict[Constant, float]


class Row(NamedTuple):
    """A start whose overhead (all but weights and cache, in GiB on a device) is logged or follows from the log."""

    start: Start
    deployment: Deployment
    stage: Stage
    length: float
    overhead: float


def rows(starts: Iterable[Start]) -> list[Row]:
    """The starts of vLLM on a named device whose log tells what weights and cache left."""
    found = []
    for start in starts:
        prepared = memory_compare.prepared(start)
        if prepared is None or prepared[0].rules is None or split(prepared[0].rules.name)[0] != "vllm" or not start.hardware:
            continue
        deployment, stage, length = prepared
        if start.activation_gib is not None and start.other_gib is not None:
            overhead = start.activation_gib + start.other_gib
        else:
            compared = memory_compare.compare(start)
            cache = start.kv_cache_gib_per_device
            if cache is None and compared.error is not None and compared.cache:
                cache = compared.cache / (1 + compared.error)
            weights = start.weights_gib_per_device or compared.weights
            if cache is None or weights is None:
                continue
            overhead = deployment.usable_bytes / GIB - weights - cache
        found.append(Row(start, deployment, stage, length, overhead))
    return found


def current() -> Values:
    """The constants as the file has them."""
    found = {}
    for constant in CONSTANTS:
        given = rules(constant.releases[0])
        assert given is not None
        found[constant] = float(getattr(given, constant.field))
    return found


def with_values(row: Row, values: Values) -> Deployment:
    """The row's deployment under other constants."""
    assert row.deployment.rules is not None
    name = row.deployment.rules.name
    changed = {one.field: value for one, value in values.items() if name in one.releases}
    return replace(row.deployment, rules=replace(row.deployment.rules, **changed))


def overhead(row: Row, values: Values) -> float:
    """Activations and runtime of a row, GiB."""
    budget = memory.budget(with_values(row, values), row.stage, row.length)
    return (float(budget.activations) + budget.runtime) / GIB


def loss(some: list[Row], values: Values) -> float:
    """The mean absolute error of the overhead, GiB: it follows most rows, and forgives the odd one."""
    return sum(abs(overhead(row, values) - row.overhead) for row in some) / len(some)


def fitted(some: list[Row], start: Values) -> Values:
    """Constants that the rows give, one after another; those that no row has a say in stay."""
    values = dict(start)
    for _ in range(SWEEPS):
        for constant in CONSTANTS:
            own = [row for row in some if row.deployment.rules is not None and row.deployment.rules.name in constant.releases]
            if not own:
                continue
            low, high = constant.low, constant.high
            for _ in range(3):
                grid = [low + (high - low) * n / (POINTS - 1) for n in range(POINTS)]
                losses = [loss(own, {**values, constant: value}) for value in grid]
                best = min(range(POINTS), key=lambda n: losses[n])
                if max(losses) - min(losses) < 1e-9:
                    break  # no row depends on it
                values[constant] = grid[best]
                low, high = grid[max(best - 1, 0)], grid[min(best + 1, POINTS - 1)]
    return values


def error(row: Row, values: Values) -> float | None:
    """Calculated over logged tokens or concurrency less one, under other constants."""
    return memory_compare.compare(row.start, with_values(row, values).rules).error


def source(start: Start) -> str:
    """The repository or page of a start, without the file in it."""
    return start.source.split(" ")[0]


def shown(errors: list[float | None]) -> str:
    known = [abs(one) for one in errors if one is not None]
    if len(known) < 2:
        return f"{len(known)} starts"
    ninth = quantiles(known, n=10, method="inclusive")[8]
    return f"{len(known)} starts, median {median(known):.1%}, 90 % within {ninth:.1%}, worst {max(known):.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    some, now = rows(memory_starts.read(parser.parse_args().file)), current()
    refit = fitted(some, now)
    print(f"{len(some)} starts of vLLM on named devices tell their overhead; mean error {loss(some, now):.2f} GiB, refitted {loss(some, refit):.2f}")
    for constant in CONSTANTS:
        print(f"  {constant.name:32} {now[constant]:8.2f}  refitted {refit[constant]:8.2f}")
    print("as the file stands:", shown([error(row, now) for row in some]))
    print("refitted on all:   ", shown([error(row, refit) for row in some]))
    left_out: list[float | None] = []
    neutral = {constant: math.sqrt(max(constant.low, 0.1) * constant.high) for constant in CONSTANTS}
    for name in sorted({source(row.start) for row in some}):
        others = [row for row in some if source(row.start) != name]
        values = fitted(others, neutral)
        own = [error(row, values) for row in some if source(row.start) == name]
        left_out += own
        print(f"  without {name[:60]:60} {', '.join('–' if one is None else f'{one:+.1%}' for one in own)}")
    print("each source left out:", shown(left_out))


if __name__ == "__main__":
    main()
