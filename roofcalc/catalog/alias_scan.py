"""Aliases of a catalog file by a scan of its text, so that a lookup among hundreds of files does not parse them."""

import os
import re
from pathlib import Path

from roofcalc.catalog import yamlfile
from roofcalc.errors import RoofcalcError

_HEAD = 4096
_ALIASES = re.compile(r"^aliases:(.*(?:\n(?:[\s#-].*|$))*)", re.MULTILINE)
_COMMENT = re.compile(r"(^|\s)#.*", re.MULTILINE)


def aliases(path: Path) -> list[str]:
    """The aliases listed in a file.

    Reads the first 4 KiB, and the rest only if the list may continue there. A file that cannot be read has no aliases; loading
    it by name reports the reason.
    """
    try:
        text, whole = _beginning(path)
        match = _ALIASES.search(text)
        if not whole and (match is None or match.end() == len(text)):
            match = _ALIASES.search(yamlfile.read_text(path))
    except (OSError, RoofcalcError):
        return []
    listed = match.group(1) if match else ""
    items = (part.strip().removeprefix("- ").strip(" \t[]'\"") for part in _COMMENT.sub("", listed).replace("\n", ",").split(","))
    return [item for item in items if item]


def _beginning(path: Path) -> tuple[str, bool]:
    """The first bytes of a file as text, and whether that is the whole file."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe must not block
    try:
        data = os.read(handle, _HEAD)
    finally:
        os.close(handle)
    return data.decode("utf-8-sig", errors="replace"), len(data) < _HEAD
