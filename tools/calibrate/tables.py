"""Reads tables of timed kernels: one CSV file per subject, gzipped or not, with the columns that docs/calibration.md lists."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from roofcalc.errors import RoofcalcError

Columns = dict[str, npt.NDArray[Any]]
NUMBERS = frozenset(
    {"us", "m", "n", "k", "batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size", "compress_ratio"}
    | {"num_tokens", "num_token", "hidden_size", "inter_size", "topk", "num_topk", "num_experts", "moe_tp_size", "moe_ep_size", "ep_size"}
    | {"num_gpus", "message_size", "node_num", "seq_len", "d_model", "num_k_heads", "num_v_heads", "head_k_dim", "head_v_dim", "d_state"}
    | {"nheads", "n_groups", "dispatch_sms", "combine_sms", "dispatch_transmit_us", "combine_transmit_us", "transmit_us"}
    | {"dispatch_avg_t_us", "combine_avg_t_us"}
)  # columns that models compute with; all others are text


def read_table(folder: Path, name: str) -> Columns | None:
    """The columns of `name`.csv or `name`.csv.gz in `folder`; None where there is no such file.

    Columns of `NUMBERS` are floats, NaN where empty; all others stay text. A number that cannot be read is an error with its place.
    """
    for path in (folder / f"{name}.csv.gz", folder / f"{name}.csv"):
        if path.is_file():
            break
    else:
        return None
    text = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).decode("utf-8")
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, [])
    rows = [row for row in reader if row]
    if not rows:
        return None
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise RoofcalcError(f"{path}: line {number + 2} has {len(row)} cells where the header has {len(header)}.")
    columns: Columns = {}
    for title, cells in zip(header, zip(*rows, strict=True), strict=True):
        if title not in NUMBERS:
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
