"""A table's memory columns in GiB (2^30 bytes) in place of GB (10^9), for people to read."""

from functools import partial
from typing import Any

import numpy as np

from roofcalc.report.table import Block, LazyBlock, Table

FACTOR = 1e9 / 2**30


def in_gib(table: Table) -> Table:
    """The same rows with every column of GB, or of GB per something but time, in GiB."""
    names = frozenset(column.name for column in table.columns if column.unit == "GB" or (column.unit.startswith("GB/") and column.unit != "GB/s"))
    shown = table.select([column._replace(unit=column.unit.replace("GB", "GiB", 1)) if column.name in names else column for column in table.columns])
    shown.blocks = [_promised(block, names) if isinstance(block, LazyBlock) else _scaled(block, names) for block in table.blocks]
    return shown


def _promised(block: LazyBlock, names: frozenset[str]) -> LazyBlock:
    shared = {name: _value(value) if name in names else value for name, value in block.shared.items()}
    return LazyBlock(block.size, shared, partial(_computed, block, names))


def _computed(block: LazyBlock, names: frozenset[str], first: int, last: int) -> Block:
    return _scaled(block.compute(first, last), names)


def _scaled(block: Block, names: frozenset[str]) -> Block:
    return Block(block.size, {name: _value(value) if name in names else value for name, value in block.values.items()})


def _value(value: Any) -> Any:
    return value * FACTOR if isinstance(value, (np.ndarray, float, int)) else value
