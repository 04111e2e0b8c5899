"""Writing lines to standard output, and files atomically."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from roofcalc.errors import RoofcalcError


@contextmanager
def standard_output() -> Iterator[None]:
    """Turns a failure to write to standard output into a RoofcalcError; a closed pipe stays a BrokenPipeError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise RoofcalcError(f"cannot write to standard output: {error.strerror or error}") from None


def write(lines: Iterator[str], output: Path | None) -> None:
    """Writes lines to a file, atomically, or to standard output where `output` is None.

    Raises
    ------
    RoofcalcError
        The file or standard output cannot be written.
    """
    if output is None:
        for line in lines:
            with standard_output():  # around the writing alone: an OSError while computing a line is another matter
                sys.stdout.write(line + "\n")
        with standard_output():
            sys.stdout.flush()
        return

    def put(file: BinaryIO) -> None:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        _put(lines, text)
        text.detach()

    _atomically(put, output)


def write_bytes(data: bytes, output: Path) -> None:
    """Writes bytes to a file, atomically.

    Raises
    ------
    RoofcalcError
        The file cannot be written.
    """
    _atomically(lambda file: file.write(data), output)


def _atomically(put: Callable[[BinaryIO], Any], output: Path) -> None:
    name = ""
    if "\0" in str(output):
        raise RoofcalcError(f"{output}: cannot be written: the name contains a null byte")
    try:
        target = output.resolve()  # a symbolic link stays one
        if target.is_dir():
            raise RoofcalcError(f"{output}: is a directory, not a file to write")
        if target.exists() and not target.is_file():  # /dev/null or a pipe: cannot be replaced
            with target.open("wb") as file:
                put(file)
            return
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        mode = target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask()
        name = str(target.parent / f".roofcalc.{os.urandom(8).hex()}")  # known before the file is there: a signal may come right after
        with os.fdopen(os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            put(file)
        os.chmod(name, mode)
        os.replace(name, target)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
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
