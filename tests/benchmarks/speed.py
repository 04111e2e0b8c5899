"""Ratios measured in one run, each beside its goal: `python tests/benchmarks/speed.py`. Exit code 0 whatever they are.

Absolute times are of the machine at hand; the ratios hold elsewhere. Nothing here is a test.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from many_files import fill
from numpy.typing import NDArray

from roofcalc import catalog
from roofcalc.deployment import deploy
from roofcalc.limits import max_batch
from roofcalc.roofline import decode

ROUNDS = 15
MAX_BATCH = ["max-batch", "llama-3.1-405b", "8xh100-sxm", "--weights", "fp8", "--seq", "775,7661", "--interactivity", "30", "--format", "csv"]
TABLE = [*MAX_BATCH[:-1], "table"]


def command(*arguments: str, **environment: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env={**os.environ, **environment})


def roofcalc(*arguments: str, **environment: str) -> Callable[[], object]:
    return command("-c", "from roofcalc.__main__ import main; main()", *arguments, **environment)


def seconds(run: Callable[[], object]) -> float:
    before = time.perf_counter()
    run()
    return time.perf_counter() - before


def ratio(name: str, goal: float, ours: Callable[[], object], theirs: Callable[[], object], each: str = "") -> None:
    """Prints the median of pairwise ratios, run in turn so that the machine's drift cancels."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(ROUNDS)]
    middle = statistics.median(a / b for a, b in pairs)
    a, b = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{'PASS' if middle <= goal else 'MISS'}  {middle:5.2f}  goal ≤ {goal:g}  {name}  ({a * 1e3:.1f} ms against {b * 1e3:.1f} ms{each})")


def main() -> None:
    imports = command("-c", "import typer, rich.table, numpy, yaml")
    ratio("max-batch, table, against the imports of its libraries", 1.25, roofcalc(*TABLE), imports)
    ratio("max-batch, CSV, against the same", 1.25, roofcalc(*MAX_BATCH), imports)
    ratio("--version against importing typer", 1.5, roofcalc("--version"), command("-c", "import typer"))
    catalogs()

    deployment = deploy(catalog.model("llama-3.1-405b")[0], catalog.hardware("8xh100-sxm")[0], weights="fp8")
    batch, seq = np.arange(1.0, 2001.0)[:, None], np.linspace(1000, 128_000, 500)[None, :]
    by_hand = closed_form()
    np.testing.assert_allclose(decode(deployment, seq).seconds(batch), by_hand(batch, seq), rtol=1e-9)
    points = batch.size * seq.size
    took = min(seconds(lambda: decode(deployment, seq).seconds(batch)) for _ in range(ROUNDS))
    ratio(
        "a 2,000 × 500 grid against its closed form in NumPy",
        3,
        lambda: decode(deployment, seq).seconds(batch),
        lambda: by_hand(batch, seq),
        f"; {points / took / 1e6:.0f} million points per second",
    )
    contexts, rates = np.meshgrid(np.linspace(500, 128_000, 500), np.linspace(5, 100, 200))
    took = min(seconds(lambda: max_batch(deployment, contexts, rates)) for _ in range(3))
    print(f"      exact max-batch solves: {contexts.size / took:,.0f} per second")


def catalogs() -> None:
    """What 230 more files in the catalogs cost a start that names one model and one device."""
    with tempfile.TemporaryDirectory() as place:
        for files in (20, 250):
            fill(Path(place) / str(files), files)
        for what, model, hardware in (("name", "models-3", "hardware-3"), ("alias", "models-alias-3", "hardware-alias-3")):
            many, few = (
                roofcalc("max-batch", model, hardware, "--seq", "1k", "-f", "csv", ROOFCALC_PATH=os.path.join(place, str(files)))
                for files in (250, 20)
            )
            ratio(f"a start with 250 files of one's own against 20, by {what}", 1.1, many, few)


def closed_form() -> Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]:
    """The shortest way to write the step of Llama 3.1 405B, fp8 weights, bf16 KV, on 8 H100 with tensor parallel 8."""
    h, layers, f, vocab, beta, peak = 16384, 126, 53248, 128256, 3.35e12, 1978.9e12
    sizes = np.array([h * (16 + 2) * 128, 16 * 128 * h, h * 2 * f // 8, f // 8 * h, h * vocab // 8])[:, None, None]
    times = np.array([layers] * 4 + [1])[:, None, None]
    wire = layers * 2 * h * 2 * 1.125 / 450e9
    per_token = layers * max(2 * 16 * 256 / 989.4e12, 256 * 2 / beta)

    def step(batch: NDArray[np.float64], seq: NDArray[np.float64]) -> NDArray[np.float64]:
        fixed = (times * np.maximum(2 * sizes * batch / peak, sizes / beta)).sum(0) + wire * batch
        return fixed + batch * (per_token * seq)

    return step


if __name__ == "__main__":
    main()
