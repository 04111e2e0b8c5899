"""Reads tables of timed kernels: one CSV file per subject, gzipped or not, with the columns that docs/calibration.md lists."""

import csv
import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roofcalc.errors import RoofcalcError

Columns = dict[str, npt.NDArray[Any]]
TEXT = frozenset(
    {"device", "engine", "engine_version", "table", "op_name", "kernel_source", "gemm_dtype", "attn_dtype", "kv_cache_dtype", "mla_dtype"}
    | {"gemm_type", "bmm_dtype", "moe_dtype", "distribution", "phase", "model", "architecture", "nccl_dtype", "allreduce_dtype", "backend"}
    | {"implementation", "comm_backend", "comm_dtype", "moe_kernel", "simulation_mode", "model_name"}
)


def read_table(folder: Path, name: str) -> Columns | None:
    """The columns of `name`.csv or `name`.csv.gz in `folder`; None where there is no such file.

    Text columns stay text; all others are floats, NaN where empty. A number that cannot be read is an error with its place.
    """
    for path in (folder / f"{name}.csv.gz", folder / f"{name}.csv"):
        if path.is_file():
            break
    else:
        return None
    opened = gzip.open(path, "rt", newline="", encoding="utf-8") if path.suffix == ".gz" else path.open(newline="", encoding="utf-8")
    with opened as file:
        reader = csv.reader(file)
        header = next(reader, [])
        rows = [row for row in reader if row]
    if not rows:
        return None
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise RoofcalcError(f"{path}: line {number + 2} has {len(row)} cells where the header has {len(header)}.")
    columns: Columns = {}
    for title, cells in zip(header, zip(*rows, strict=True), strict=True):
        if title in TEXT:
            columns[title] = np.array(cells)
            continue
        try:
            columns[title] = np.array([float(cell) if cell else np.nan for cell in cells])
        except ValueError as error:
            raise RoofcalcError(f"{path}: column {title} holds something that is not a number ({error}).") from error
    return columns


def only(columns: Columns, mask: npt.NDArray[np.bool_]) -> Columns:
    """The rows of `columns` where `mask` is true."""
    return {title: values[mask] for title, values in columns.items()}


def stacked(parts: Iterable[Columns]) -> Columns:
    """Tables with the same columns, one after another."""
    parts = list(parts)
    return {title: np.concatenate([part[title] for part in parts]) for title in parts[0]}


def kept_aside(columns: Columns, shape: Iterable[str]) -> npt.NDArray[np.bool_]:
    """True for the fifth of all shapes that is never fitted: CRC-32 of the shape's cells, modulo 5, is 0.

    The same shape is kept aside for all devices and engines, so that no device can teach the fit another's answer.
    """
    cells = [columns[title] for title in shape]
    texts = zip(*[[str(value) for value in values.tolist()] for values in cells], strict=True)
    return np.array([zlib.crc32("/".join(text).encode()) % 5 == 0 for text in texts], dtype=bool)
