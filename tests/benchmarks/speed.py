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

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.deployment.deployment import Deployment, deploy
from roofcalc.physics.roofline import decode
from roofcalc.solvers.max_batch import max_batch
from roofcalc.specs.record import replace

ROUNDS = 15
CACHE = os.path.join(tempfile.gettempdir(), "roofcalc-benchmark-pycache")
MAX_BATCH = ["max-batch", "llama-3.1-405b", "8xh100-sxm", "--weights", "fp8", "--seq", "775,7661", "--interactivity", "30", "--format", "csv"]
TABLE = [*MAX_BATCH[:-1], "table"]
FRONTIERS = (
    ("llama-3.1-70b", "h100-sxm", "--devices", "8:64:8", "--weights", "fp8,bf16", "--kv", "bf16,fp8", "--seq", "8k"),
    ("deepseek-v3", "h200-sxm", "--devices", "16:48:8", "--seq", "4k"),
)

Form = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]


def command(*arguments: str, **environment: str) -> Callable[[], object]:
    """A child process that finds compiled modules, as an installed package does."""
    shared = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    whole = {**shared, "PYTHONPYCACHEPREFIX": CACHE, **environment}
    return lambda: subprocess.run([sys.executable, *arguments], check=True, capture_output=True, env=whole)


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
    imports = command("-c", "import typer, rich.console, rich.table, numpy, yaml")
    ratio("max-batch, table, against the imports of its libraries", 1.25, roofcalc(*TABLE), imports)
    ratio("max-batch, CSV, against the same", 1.25, roofcalc(*MAX_BATCH), imports)
    ratio("--version against importing typer", 1.5, roofcalc("--version"), command("-c", "import typer"))
    catalogs()
    overrides()

    grids()
    search()


def grids() -> None:
    """Step times and solves against the shortest closed forms, on one core."""
    batch, seq = np.arange(1.0, 2001.0)[:, None], np.linspace(1000, 128_000, 500)[None, :]
    dense = deploy(lookup.model("llama-3.1-405b")[0], lookup.hardware("8xh100-sxm")[0], weights="all=fp8")
    latent = deploy(lookup.model("deepseek-v3")[0], lookup.hardware("8xh200-sxm")[0], tp=1)
    for name, deployment, by_hand in (("dense", dense, closed_form()), ("experts and latent attention", latent, latent_closed_form())):
        np.testing.assert_allclose(decode(deployment, seq).seconds(batch), by_hand(batch, seq), rtol=1e-9)
        grid(name, deployment, by_hand, batch, seq)
        pairs = np.broadcast_arrays(batch, seq)  # every point with a batch of its own: nothing to share along an axis
        grid(f"{name}, point by point", deployment, by_hand, *(np.ascontiguousarray(one).ravel()[::10] for one in pairs))
    contexts, rates = np.meshgrid(np.linspace(500, 128_000, 500), np.linspace(5, 100, 200))
    for name, deployment in (("dense", dense), ("experts and latent attention", latent)):
        took = min(seconds(lambda one=deployment: max_batch(one, contexts, rates)) for _ in range(3))  # type: ignore[misc]
        print(f"      exact max-batch solves, {name}: {contexts.size / took:,.0f} per second")


def grid(name: str, deployment: Deployment, by_hand: Form, batch: NDArray[np.float64], seq: NDArray[np.float64]) -> None:
    """Step times of a grid, or of points one by one, against the closed form."""
    points = np.broadcast(batch, seq).size
    took = min(seconds(lambda: decode(deployment, seq).seconds(batch)) for _ in range(ROUNDS))
    words = f"; {points / took / 1e6:.0f} million points per second"
    ratio(f"steps, {name}, against its closed form", 3, lambda: decode(deployment, seq).seconds(batch), lambda: by_hand(batch, seq), words)


def search() -> None:
    """A frontier of ten thousand points, hundreds of layouts among them, against the start-up of one solve."""
    for line in FRONTIERS:
        points = len(run_frontier(line, all=True))
        ratio(f"frontier {' '.join(line)}: {points:,} points, against max-batch", 2.5, roofcalc("frontier", *line), roofcalc(*TABLE))


def run_frontier(line: tuple[str, ...], **given: bool) -> rc.Table:
    """The same through the API."""
    model, hardware, *options = line
    named = {flag.removeprefix("--"): value for flag, value in zip(options[::2], options[1::2], strict=True)}
    return rc.frontier(model, hardware, **named, **given)  # type: ignore[arg-type]


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


def overrides() -> None:
    """A sweep of 201 values of a catalog figure: as a command against 201 contexts, and within a process against machines built before."""
    solve, sweep = ["max-batch", "llama-3.1-8b", "h100-sxm", "--interactivity", "30", "-f", "csv"], "hardware.memory.bandwidth_gb_s=1000:5000:20"
    ratio("201 values of --set against 201 contexts", 3, roofcalc(*solve, "--seq", "8k", "--set", sweep), roofcalc(*solve, "--seq", "1k:201k:1k"))
    model, machine = lookup.model("llama-3.1-8b")[0], lookup.hardware("h100-sxm")[0]
    memories = [replace(machine.device.memory, bandwidth_gb_s=float(rate)) for rate in range(1000, 5001, 20)]
    built = [replace(machine, device=replace(machine.device, memory=memory)) for memory in memories]
    ratio(
        "the same through the API against machines given as records",
        1.5,
        lambda: rc.max_batch("llama-3.1-8b", "h100-sxm", seq=8000, interactivity=30, changes=[sweep]),
        lambda: rc.max_batch(model, built, seq=8000, interactivity=30),
    )


def closed_form() -> Form:
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


def latent_closed_form() -> Form:
    """The same of DeepSeek-V3 as it is published, bf16 KV, on 8 H200 with data parallel attention and experts spread over all."""
    h, heads, experts, k, beta, fp8, bf16 = 7168, 128, 256, 8, 4.8e12, 1978.9e12, 989.4e12
    attention = [(61, h * 1536), (61, 1536 * heads * 192), (61, h * 576), (61, 2 * heads * 128 * 512), (61, heads * 128 * h)]
    plain = [*attention, (3, h * 3 * 18432), (58, h * 3 * 2048)]
    fixed = np.array([n * size for n, size in plain]).sum(), 58 * h * experts + h * 129280
    routed, chosen = 58 * 3 * h * 2048 / 8, k * 58 * 3 * h * 2048 / 8
    hit = 1 - np.prod([(experts * 7 / 8 - i) / (experts - i) for i in range(k)])
    wire, per_token = 58 * 7 * hit * h * 3 / 450e9, 61 * max(2 * heads * (2 * 512 + 64) / bf16, 576 * 2 / beta)
    w = 1 + 4 / 128**2

    def step(batch: NDArray[np.float64], seq: NDArray[np.float64]) -> NDArray[np.float64]:
        rank = np.ceil(batch / 8)
        read = experts * -np.expm1(batch * np.log1p(-k / experts))
        work = np.maximum(2 * fixed[0] * rank / fp8, fixed[0] * w / beta) + np.maximum(2 * fixed[1] * rank / bf16, fixed[1] * 2 / beta)
        return work + np.maximum(2 * chosen * batch / fp8, routed * read * w / beta) + wire * rank + rank * (per_token * seq)

    return step


if __name__ == "__main__":
    main()
