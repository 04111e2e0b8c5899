"""YAML files of catalog folders by name, cached until a folder or one of its subfolders changes."""

import os
import re
import time
from collections.abc import Iterator
from functools import lru_cache

from roofcalc.catalog.file_cache import SETTLED_NS

PACKAGED_RECHECK_S = 1.0  # the packaged catalog's 90 folders; a sweep looks names up thousands of times a second

_BLANKS = re.compile(r"[\s_]+")

Names = dict[str, list[str]]  # normalised name -> paths, in look-up order


def normal(name: str) -> str:
    """A name in lower case, with `_` and spaces replaced by hyphens."""
    return _BLANKS.sub("-", name.strip().lower())


class Listing:
    """The files below one folder. Compared by identity: a changed folder gets a new listing.

    Attributes
    ----------
    names : dict
        Normalised file stems and their paths; files of a folder come before those of its subfolders.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.times: dict[str, int | None] = {}
        self.names: Names = {}
        for path in self._files(folder):
            if path.endswith((".yaml", ".yml")):
                stem = path[path.rfind(os.sep) + 1 : path.rfind(".")]
                self.names.setdefault(normal(stem), []).append(path)
        self.settled = max(filter(None, self.times.values()), default=0) < time.time_ns() - SETTLED_NS
        self.checked_s = time.monotonic()

    def is_current(self, recheck_s: float) -> bool:
        """Whether no file was added, removed or renamed since; a check holds for `recheck_s` seconds."""
        if not self.settled:
            return False
        now = time.monotonic()
        if now - self.checked_s < recheck_s:
            return True
        self.checked_s = now
        return all(_changed_ns(folder) == then for folder, then in self.times.items())

    def _files(self, folder: str) -> Iterator[str]:
        """All files except those of hidden and linked folders."""
        self.times[folder] = _changed_ns(folder)
        try:
            with os.scandir(folder) as inside:
                ordered = sorted(inside, key=lambda entry: entry.name)
        except OSError:
            return
        folders = []
        for entry in ordered:
            if _is_folder(entry):
                folders.append(entry)
            else:
                yield entry.path
        for entry in folders:
            if not entry.is_symlink() and not entry.name.startswith("."):
                yield from self._files(entry.path)


def _changed_ns(folder: str) -> int | None:
    """When a folder's entries or permissions last changed; None where there is none."""
    try:
        status = os.stat(folder)
    except (OSError, ValueError):
        return None
    return max(status.st_mtime_ns, status.st_ctime_ns)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


_listings: dict[tuple[str, str], Listing] = {}


def names_in(*folders: str, packaged: str | None = None) -> Names:
    """Every YAML file of these folders, and last of the `packaged` one, by its normalised name. Shared: not to be changed."""
    last = () if packaged is None else (_listing(packaged, PACKAGED_RECHECK_S),)
    return _merged(*map(_listing, folders), *last)


def _listing(folder: str, recheck_s: float = 0.0) -> Listing:
    key = folder, os.path.abspath(folder)  # a relative path names another folder after a change of directory
    known = _listings.get(key)
    if known is None or not known.is_current(recheck_s):
        if len(_listings) >= 64:
            _listings.clear()
        known = _listings[key] = Listing(folder)
    return known


@lru_cache(maxsize=16)
def _merged(*listings: Listing) -> Names:
    merged: Names = {}
    for one in listings:
        for name, paths in one.names.items():
            merged[name] = [*merged.get(name, ()), *paths]
    return merged
