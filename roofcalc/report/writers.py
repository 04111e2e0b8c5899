"""A table as CSV or JSON for machines, line by line; and a file that appears whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import numpy as np

from roofcalc import __version__
from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Block, Cell, Column, Table, cells
from roofcalc.units import plain

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = 2
_FORMULA = tuple("=+-@\t\r")  # a spreadsheet would compute a text that begins so, or run it
MAX_COUNT = 2**62


def csv_lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """RFC 4180 quoting, LF, one header row, full precision, missing cells empty; only the columns `chosen`, if any.

    A text that a spreadsheet would run has a ' before it. Yields many lines at a time.
    """
    columns = tuple(chosen) or table.columns
    yield ",".join(column.name for column in columns)
    for block in table.computed():
        yield "\n".join(map(",".join, zip(*_joined(block, columns), strict=True)))


def _joined(block: Block, columns: Sequence[Column]) -> Iterator[Iterable[str]]:
    """A block's columns as text, those beside one another whose rows are alike as one; at least one as long as the block."""
    alike: list[str] = []
    for column in columns:
        value = block.values.get(column.name)
        if not isinstance(value, np.ndarray):
            alike += map(_csv_cell, cells(Block(1, {column.name: value}), column))
            continue
        if alike:
            yield repeat(",".join(alike), block.size)
            alike = []
        yield _csv_column(value, column)
    if alike:
        yield repeat(",".join(alike), block.size)


def _csv_column(value: NDArray[Any], column: Column) -> list[str]:
    """A column of arrays: those of finite numbers and of few words at once, all others cell by cell."""
    if column.kind == "number" and value.dtype.kind == "f" and np.isfinite(value).all():
        texts = map(repr, (value + 0.0).tolist())  # + 0: no −0
        return [text.removesuffix(".0") for text in texts] if (value == np.floor(value)).any() else list(texts)
    if column.kind == "count" and value.dtype.kind in "fi" and (np.abs(value) < MAX_COUNT).all():
        return list(map(str, value.astype(np.int64).tolist()))
    if column.kind == "flag" and value.dtype.kind == "b":
        return np.where(value, "true", "false").tolist()  # type: ignore[no-any-return]
    if column.kind == "text" and value.dtype.kind == "U":
        words = {word: _csv_cell(word or None) for word in set(value.tolist())}
        return [words[word] for word in value.tolist()]
    return list(map(_csv_cell, cells(Block(value.size, {column.name: value}), column)))


def _csv_cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return plain(value)
    if value[:1] in _FORMULA:
        value = "'" + value
    quoted = value.replace('"', '""')
    return f'"{quoted}"' if any(mark in value for mark in ',"\n\r') else value


def json_lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """One object, its rows (of the columns `chosen`, if any) one per line; `assumptions` holds those that all rows share."""
    import json  # the other formats need none of it

    first = dict(zip((column.name for column in table.columns), next(table.cells(0, 1), ()), strict=False))
    head = {
        "schema": SCHEMA,
        "command": table.command,
        "version": __version__,
        "catalog": table.catalog,
        "assumptions": {c.name: first.get(c.name) for c in table.columns if c.role == "assumed" and table.constant(c)},
        "notes": table.notes,
    }
    yield json.dumps(head)[:-1] + ', "rows": ['
    before = ""
    for row in (table.select(chosen) if chosen else table).rows():
        if before:
            yield before + ","
        before = "  " + json.dumps(row)
    yield before
    yield "]}"


def write(lines: Iterator[str], output: Path | None) -> None:
    """Lines to a file, whole or not at all, or to standard output.

    Raises
    ------
    RoofcalcError
        The file cannot be written.
    """
    if output is None:
        _put(lines, sys.stdout)
        sys.stdout.flush()
        return

    def put(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        _put(lines, text)
        text.detach()

    _whole(put, output)


def write_bytes(data: bytes, output: Path) -> None:
    """Bytes to a file, whole or not at all.

    Raises
    ------
    RoofcalcError
        The file cannot be written.
    """
    _whole(lambda file: file.write(data), output)


def _whole(put: Callable[[BinaryIO], Any], output: Path) -> None:
    name = ""
    if "\0" in str(output):
        raise RoofcalcError(f"{output}: cannot be written: a file's name holds no zero byte")
    try:
        target = output.resolve()  # a link stays a link
        if target.is_dir():
            raise RoofcalcError(f"{output}: is a directory, not a file to write")
        if target.exists() and not target.is_file():  # /dev/null, a pipe: nothing to replace
            with target.open("wb") as file:
                put(file)
            return
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        import tempfile  # what writes no file need not load it

        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".roofcalc.")
        with os.fdopen(handle, "wb") as file:
            put(file)
        os.chmod(name, mode)
        os.replace(name, target)
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle of links
        reason = getattr(error, "strerror", None) or error
        raise RoofcalcError(f"{output}: cannot be written: {reason}") from None
    finally:
        if name and os.path.exists(name):
            os.unlink(name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _put(lines: Iterator[str], file: TextIO) -> None:
    for line in lines:
        file.write(line + "\n")
