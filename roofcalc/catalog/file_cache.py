"""In-process cache of parsed files: a sweep parses each catalog file once, and an edited file is read again."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

# A file that changed this recently could change again within one tick of the file system's clock (2 s on FAT) and keep its stamp.
SETTLED_NS = 2_000_000_000
MAX_FILES = 4096


class Stamp(NamedTuple):
    """Identity, size and times of a file or folder."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @property
    def is_settled(self) -> bool:
        """Whether any later change of the file is certain to change its stamp."""
        return time.time_ns() - max(self.modified_ns, self.changed_ns) > SETTLED_NS


_kept: dict[tuple[Callable[[Path], Any], str], tuple[tuple[Stamp | None, ...], Any]] = {}


def stamp(path: str | Path) -> Stamp | None:
    """The stamp of a file or folder; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a zero byte in the name
        return None
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def cached(read: Callable[[Path], T], path: Path, *others: Path) -> T:
    """`read(path)`, cached until the file changes, or one of the `others` that `read` may open.

    The result is shared and must not be modified. Exceptions of `read` are not cached.
    """
    now, key = tuple(map(stamp, (path, *others))), (read, str(path))
    if (known := _kept.get(key)) and known[0] == now:
        result: T = known[1]
        return result
    result = read(path)
    if all(one is None or one.is_settled for one in now):
        if len(_kept) >= MAX_FILES:
            _kept.clear()
        _kept[key] = now, result
    return result


def clear() -> None:
    """Empties the cache."""
    _kept.clear()
