"""Logged starts of serving engines: rows of a CSV as frozen records, and which release each one is of.

A CSV has `COLUMNS`, one start a row; an empty cell is unknown. Sizes are GiB, as logs print them. How a start compares with the
calculation is in `roofcalc.measurements.memory_compare`.
"""

import csv
import io
import math
import re
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.record import Record

TEXTS = ("id", "source", "engine", "engine_version", "model", "weights_dtype", "kv_dtype", "hardware", "notes")
COUNTS = ("n_devices", "tp", "pp", "dp", "max_model_len")
FIGURES = (
    "gpu_memory_utilization",
    "weights_gib_per_device",
    "kv_cache_gib_per_device",
    "kv_tokens",
    "max_concurrency",
    "activation_gib",
    "other_gib",
    "cuda_graph_gib",
)
COLUMNS = (*TEXTS, *COUNTS, *FIGURES)
NEEDED = ("model", "engine")

# vLLM's newest release by month, for rows that give a date: https://github.com/vllm-project/vllm/releases
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_RELEASED = (
    ("2024-01", "0.2"), ("2024-03", "0.3"), ("2024-04", "0.4"), ("2024-06", "0.5"), ("2024-09", "0.6"), ("2025-01", "0.7"), ("2025-03", "0.8"),
    ("2025-06", "0.9"), ("2025-08", "0.10"), ("2025-10", "0.11"), ("2025-12", "0.12"), ("2026-01", "0.14"), ("2026-02", "0.16"),
    ("2026-03", "0.17"), ("2026-04", "0.19"), ("2026-05", "0.20"), ("2026-07", "0.22"), ("2026-08", "0.26"),
)  # fmt: skip


class Start(Record):
    """One logged start; None is unknown.

    Attributes
    ----------
    place : str
        File and line.
    weights, cache, activations, other : float
        GiB on one device.
    kv_tokens, max_concurrency : float
        As the log prints them, of one data-parallel rank.
    """

    place: str
    id: str
    model: str
    engine: str
    source: str = ""
    engine_version: str = ""
    weights_dtype: str = ""
    kv_dtype: str = ""
    hardware: str = ""
    notes: str = ""
    n_devices: int | None = None
    tp: int | None = None
    pp: int | None = None
    dp: int | None = None
    max_model_len: int | None = None
    gpu_memory_utilization: float | None = None
    weights_gib_per_device: float | None = None
    kv_cache_gib_per_device: float | None = None
    kv_tokens: float | None = None
    max_concurrency: float | None = None
    activation_gib: float | None = None
    other_gib: float | None = None
    cuda_graph_gib: float | None = None


def read(file: str | Path) -> list[Start]:
    """The starts of a CSV.

    Raises
    ------
    RoofcalcError
        Everything that is wrong in the file, one line each.
    """
    path = Path(file)
    table = csv.reader(io.StringIO(yamlfile.read_text(path)))
    header = [name.strip() for name in next(table, [])]
    unknown, absent = [name for name in header if name not in COLUMNS], [name for name in NEEDED if name not in header]
    problems = [f"{path}:1: unknown column {name!r}{did_you_mean(name, COLUMNS)}" for name in unknown]
    problems += [f"{path}:1: the column {name} is missing" for name in absent]
    found = []
    for number, cells in enumerate(table if not problems else (), start=2):
        if not any(cells):
            continue
        values: dict[str, Any] = {"place": f"{path}:{number}", "id": f"line {number}"}
        if len(cells) != len(header):
            problems.append(f"{path}:{number}: {len(cells)} cells, but the header has {len(header)}")
            continue
        for name, cell in zip(header, map(str.strip, cells), strict=True):
            if cell:
                try:
                    values[name] = cell if name in TEXTS else _number(cell, name in COUNTS)
                except ValueError as error:
                    problems.append(f"{path}:{number}: {name}: {error}")
        problems += [f"{path}:{number}: {name} is empty" for name in NEEDED if name not in values and not problems]
        if all(name in values for name in NEEDED):
            found.append(Start(**values))
    if problems:
        raise RoofcalcError(*problems)
    return found


def _number(cell: str, count: bool) -> float | int:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (count and (value != int(value) or value < 1)):
        raise ValueError(f"expected {'a whole number from 1 up' if count else 'a number'}, got {cell!r}")
    return int(value) if count else value


def release(start: Start) -> str:
    """Engine and release of a start, as `--engine` takes them: by its version, else by its date, else the newest."""
    engine, version = start.engine.lower(), start.engine_version
    if engine.startswith("ik_llama"):
        return "llama.cpp-b1"
    engine = engine.split()[0]
    if engine == "vllm" and "V0" in version:
        return "vllm-0.7"
    if match := re.match(r"v?(b?\d[\d.]*)", version):
        return f"{engine}-{match.group(1).rstrip('.')}"
    dated = re.search(r"([A-Za-z]{3})[a-z]* (20\d\d)", version)
    if dated and dated.group(1).lower() in _MONTHS:
        month = f"{dated.group(2)}-{_MONTHS.index(dated.group(1).lower()) + 1:02d}"
        if engine == "vllm":
            return f"vllm-{next((name for begin, name in reversed(_RELEASED) if begin <= month), '0.2')}"
        if engine == "tensorrt-llm" and month < "2025-01":
            return "tensorrt-llm-0.6"
    return engine
