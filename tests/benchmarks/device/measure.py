"""What an accelerator really reaches: visible memory, read bandwidth, products of M tokens, attention of one query over a cache.

    python tests/benchmarks/device/measure.py figures.csv --device h100-sxm

appends a row for each kernel: device, kernel, shape, dtype, latency_us, achieved, unit, peak, fraction, source, notes. Peaks are
those of the catalog's device that --device names; without it they stay empty. It needs torch and an accelerator that torch
sees (`--on cpu` tries the script without one); nothing else in the project does.

Times are means over enough calls to fill --seconds, the device synchronised before and after, on operands that take turns so
that no cache holds them. On CUDA the calls are recorded in a CUDA graph and replayed, as engines do in decode steps: a launch
from Python takes 7 to 20 us of the host, which hides what a small kernel takes. `--eager` launches each call instead.
Work is what the operation must do: 2·M·N·K FLOPs; the bytes of weights, inputs and outputs; the cache's bytes.
"""

import argparse
import csv
import datetime
import itertools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Device

COLUMNS = ("device", "kernel", "shape", "dtype", "latency_us", "achieved", "unit", "peak", "fraction", "source", "notes")
TOKENS = tuple(2**n for n in range(14))  # 1 … 8192
MATRICES = ((8192, 8192), (28672, 8192))  # N × K
CACHES = ((1, 8192), (1, 131072), (8, 8192), (32, 4096), (64, 2048), (256, 1024))  # sequences, entries of each
HEADS = ((32, 8), (64, 8), (32, 32))  # of queries, of keys and values
HEAD_DIM = 128
READ_BYTES = 4 * 2**30
CACHED = 256 * 2**20  # operands of one kind are at least so large together, larger than any last-level cache
COMPUTE_BOUND = 512  # tokens from which a product counts as compute-bound where no peaks say so


class Kernel(NamedTuple):
    """One kernel: what it must do, and a way to make the calls that do it, on operands that take turns."""

    name: str
    shape: str
    dtype: str
    flops: float
    bytes: float
    calls: Callable[[], list[Callable[[], Any]]]


class Measured(NamedTuple):
    """A figure: what was achieved of which peak; `seconds` is None for what takes no time."""

    kernel: str
    shape: str
    dtype: str
    seconds: float | None
    achieved: float
    unit: str
    peak: float | None


def product_work(m: int, n: int, k: int, element_bytes: int) -> tuple[float, float]:
    """FLOPs and bytes of M tokens by an N × K matrix; outputs have 16 bits."""
    return 2.0 * m * n * k, float((n * k + m * k) * element_bytes + 2 * m * n)


def cache_bytes(sequences: int, entries: int, kv_heads: int, element_bytes: int) -> float:
    """Keys and values that one query of each sequence reads."""
    return 2.0 * sequences * entries * kv_heads * HEAD_DIM * element_bytes


def reduced(kernel: Kernel, seconds: float, device: Device | None) -> Measured:
    """TFLOP/s of a compute-bound product, else GB/s, beside the peak."""
    peak_flops = device.peak_tflop_s.get(kernel.dtype) if device else None
    peak_bytes = device.memory.bandwidth_gb_s if device else None
    compute = int(kernel.shape.split()[0][1:]) >= COMPUTE_BOUND if kernel.flops else False
    if kernel.flops and peak_flops and peak_bytes:
        compute = kernel.flops / (peak_flops * 1e12) > kernel.bytes / (peak_bytes * 1e9)
    name = kernel.name + ("_largeM(compute-bound)" if compute else "_smallM(weight-bound)" if kernel.flops else "")
    if compute:
        return Measured(name, kernel.shape, kernel.dtype, seconds, kernel.flops / seconds / 1e12, "TFLOPS", peak_flops)
    return Measured(name, kernel.shape, kernel.dtype, seconds, kernel.bytes / seconds / 1e9, "GB/s", peak_bytes)


def row(one: Measured, device: str, source: str, notes: str) -> dict[str, str]:
    """A figure as a row of the table."""
    return {
        "device": device,
        "kernel": one.kernel,
        "shape": one.shape,
        "dtype": one.dtype,
        "latency_us": "" if one.seconds is None else f"{one.seconds * 1e6:.2f}",
        "achieved": f"{one.achieved:.2f}" if one.unit != "bytes" else f"{one.achieved:.0f}",
        "unit": one.unit,
        "peak": "" if one.peak is None else f"{one.peak:g}" if one.unit != "bytes" else f"{one.peak:.0f}",
        "fraction": "" if one.peak is None else f"{one.achieved / one.peak:.3f}",
        "source": source,
        "notes": notes,
    }


def append(path: Path, rows: list[dict[str, str]]) -> None:
    """Rows to the end of a table, which begins with its header.

    Raises
    ------
    RoofcalcError
        The file has other columns, or cannot be written.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines and tuple(lines[0].split(",")) != COLUMNS:
            raise RoofcalcError(f"{path}: has other columns than {', '.join(COLUMNS)}")
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if not lines:
                writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise RoofcalcError(f"{path}: cannot be written: {error.strerror or error}") from None


def kernels(torch: Any, on: str) -> Iterator[Kernel]:
    """Every kernel that this device can run; those of fp8 where torch multiplies it here."""

    def copies(make: Callable[[], Any], size: float) -> list[Any]:
        return [make() for _ in range(max(2, int(CACHED / size) + 1))]

    def some(*shape: int) -> Any:
        return torch.randn(*shape, device=on, dtype=torch.bfloat16)

    def read() -> list[Callable[[], Any]]:
        block = torch.ones(READ_BYTES // 4, device=on, dtype=torch.float32)
        return [block.sum]

    yield Kernel("memory_read(sum)", f"n{READ_BYTES // 4}", "fp32", 0.0, float(READ_BYTES), read)
    narrow = getattr(torch, "float8_e4m3fnuz" if torch.version.hip else "float8_e4m3fn", None)
    for (n, k), m in itertools.product(MATRICES, TOKENS):

        def wide(m: int = m, n: int = n, k: int = k) -> list[Callable[[], Any]]:
            x = some(m, k)
            return [lambda w=w: x @ w.t() for w in copies(lambda: some(n, k), 2 * n * k)]  # type: ignore[misc]

        def fp8(m: int = m, n: int = n, k: int = k) -> list[Callable[[], Any]]:
            x, one = some(m, k).to(narrow), torch.ones((), device=on)
            weights = copies(lambda: some(n, k).to(narrow), n * k)
            return [lambda w=w: torch._scaled_mm(x, w.t(), one, one, out_dtype=torch.bfloat16) for w in weights]  # type: ignore[misc]

        yield Kernel("gemm", f"m{m} n{n} k{k}", "bf16", *product_work(m, n, k, 2), wide)
        if narrow is not None and hasattr(torch, "_scaled_mm"):
            yield Kernel("gemm", f"m{m} n{n} k{k}", "fp8", *product_work(m, n, k, 1), fp8)
    for (b, s), (h, kv) in itertools.product(CACHES, HEADS):

        def attend(b: int = b, s: int = s, h: int = h, kv: int = kv) -> list[Callable[[], Any]]:
            query, moved = some(b, h, 1, HEAD_DIM), cache_bytes(b, s, kv, 2)
            pairs = copies(lambda: (some(b, kv, s, HEAD_DIM), some(b, kv, s, HEAD_DIM)), moved)
            run = torch.nn.functional.scaled_dot_product_attention
            return [lambda k=k, v=v: run(query, k, v, enable_gqa=h != kv) for k, v in pairs]  # type: ignore[misc]

        yield Kernel("attention_decode(GQA)", f"b{b} kvlen{s} h{h} kv{kv} d{HEAD_DIM}", "bf16", 0.0, cache_bytes(b, s, kv, 2), attend)


def seconds_each(calls: list[Callable[[], Any]], synchronize: Callable[[], Any], least: float) -> float:
    """Mean time of a call, over at least `least` seconds of them in turn."""
    for call in calls:
        call()
    rounds = 1
    while True:
        synchronize()
        before = time.perf_counter()
        for _ in range(rounds):
            for call in calls:
                call()
        synchronize()
        took = time.perf_counter() - before
        if took >= least:
            return took / rounds / len(calls)
        rounds *= 2


def replayed(torch: Any, calls: list[Callable[[], Any]]) -> list[Callable[[], Any]]:
    """One call that replays all of `calls` from a CUDA graph, once for each of them."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # libraries set up their workspaces before the capture
        for call in calls:
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    return [graph.replay]


def driver() -> str:
    """The version of the accelerator's driver, where the system tells it."""
    try:
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        amd = Path("/sys/module/amdgpu/version")
        return amd.read_text(encoding="ascii").strip() if amd.exists() else "unknown"


def measure(torch: Any, on: str, device: Device | None, least: float, graphs: bool) -> Iterator[Measured]:
    """Every figure; a kernel that this device cannot run, or has no room for, is left out with a line on stderr."""
    if on != "cpu":
        visible = float(torch.cuda.get_device_properties(0).total_memory)
        yield Measured("visible_memory", "", "", None, visible, "bytes", device.memory.capacity_gb * 1e9 if device else None)
    synchronize = (lambda: None) if on == "cpu" else torch.cuda.synchronize
    for kernel in kernels(torch, on):
        try:
            calls = kernel.calls()
            seconds = seconds_each(replayed(torch, calls), synchronize, least) / len(calls) if graphs else seconds_each(calls, synchronize, least)
            yield reduced(kernel, seconds, device)
        except (RuntimeError, NotImplementedError, TypeError) as error:  # out of memory is a RuntimeError too
            print(f"left out: {kernel.name} {kernel.shape} {kernel.dtype}: {str(error).splitlines()[0]}", file=sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    """Measures and appends; the exit code is 2 where there is nothing to measure with or a name is wrong."""
    parser = argparse.ArgumentParser(description="Measures an accelerator's kernels and appends the figures to a CSV.")
    parser.add_argument("file", type=Path, help="the table to append to")
    parser.add_argument("--device", help="its name in the catalog, for the peaks")
    parser.add_argument("--on", choices=("cuda", "cpu"), default="cuda", help="cuda is ROCm too; cpu only tries the script")
    parser.add_argument("--seconds", type=float, default=0.2, help="least time for each kernel")
    parser.add_argument("--eager", action="store_true", help="launch each call from Python; the default on CUDA replays a CUDA graph")
    given = parser.parse_args(arguments)
    try:
        device = lookup.hardware(given.device)[0].device if given.device else None
        try:
            torch = import_module("torch")
        except ImportError:
            raise RoofcalcError("torch is not installed: this script measures with it; the rest of the project needs no accelerator") from None
        if given.on == "cuda" and not torch.cuda.is_available():
            raise RoofcalcError("torch sees no accelerator here")
        append(given.file, [])
        name = torch.cuda.get_device_name(0) if given.on == "cuda" else "cpu"
        library = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"HIP {torch.version.hip}" if torch.version.hip else "no CUDA"
        graphs = given.on == "cuda" and not given.eager
        notes = f"{name}; driver {driver()}; {library}; torch {torch.__version__}; {'replayed from a CUDA graph' if graphs else 'eager'}"
        source = f"measured {datetime.datetime.now(datetime.UTC).date()} by tests/benchmarks/device/measure.py"
        for one in measure(torch, given.on, device, given.seconds, graphs):
            found = row(one, device.name if device else name, source, notes)
            append(given.file, [found])
            print(", ".join(found[column] for column in COLUMNS[1:9]))
    except RoofcalcError as error:
        print(*(f"error: {line}" for line in error.lines), sep="\n", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
