"""A table as CSV or JSON for machines, line by line; and a file that appears whole or not at all."""

import errno
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from roofcalc.errors import RoofcalcError
from roofcalc.report.table import Cell, Column, Table
from roofcalc.units import plain
from roofcalc.version import __version__

SCHEMA = 1


def csv_lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """RFC 4180 quoting, LF, one header row, full precision, missing cells empty; only the columns `chosen`, if any."""
    table = table.select(chosen) if chosen else table
    yield ",".join(column.name for column in table.columns)
    for cells in table.cells():
        yield ",".join(map(_csv_cell, cells))


def _csv_cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return plain(value)
    quoted = value.replace('"', '""')
    return f'"{quoted}"' if any(mark in value for mark in ',"\n\r') else value


def json_lines(table: Table, chosen: Sequence[Column] = ()) -> Iterator[str]:
    """One object, its rows (of the columns `chosen`, if any) one per line; `assumptions` holds those that all rows share."""
    first = next(table.rows(), {})
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
