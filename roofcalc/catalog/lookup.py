"""Names -> catalog files -> validated records. Only the files that are named get parsed.

Knows where catalogs lie, aliases, `like:`, and what-if changes; not what a figure means.
"""

import copy
import os
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from roofcalc.catalog import yamlfile
from roofcalc.catalog.overrides import Change, Kind, apply
from roofcalc.errors import RoofcalcError, nearest
from roofcalc.specs.device import Device, Hardware, System
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Lines, build

_NOT_INHERITED = ("name", "aliases", "title", "like", "notes", "unverified", "announced", "known_difference")
_MAX_COUNT = 1_000_000
_BLANKS = re.compile(r"[\s_]+")
_COUNTED = re.compile(r"\s*([0-9]+)\s*[x×]\s*(?=\S)", re.IGNORECASE)


class Found(Record):
    """A catalog entry: its file, and a note where the name given was not its own; `config` marks a Hugging Face configuration."""

    name: str
    path: Path
    note: str | None = None
    config: bool = False


def directories(kind: Kind) -> list[Path]:
    """Where entries of `kind` are looked up: those of ROOFCALC_PATH first, then the built-in ones."""
    user = [Path(part) / kind for part in os.environ.get("ROOFCALC_PATH", "").split(os.pathsep) if part]
    return [*user, built_in(kind)]


def built_in(kind: Kind) -> Path:
    """The packaged catalog, else the checkout's."""
    here = Path(__file__).resolve().parent.parent
    packaged = here / "catalogs" / kind
    return packaged if packaged.is_dir() else here.parent / kind


def normal(name: str) -> str:
    """A name without the differences that do not matter: case, `_`, spaces."""
    return _BLANKS.sub("-", name.strip().lower())


def entries(kind: Kind) -> dict[str, Path]:
    """Every entry's normalised name and file, the first of a name winning. Reads directories, no files."""
    return {name: paths[0] for name, paths in files_in(*directories(kind)).items()}


def unreadable_directories() -> list[str]:
    """Directories that ROOFCALC_PATH names and that cannot be looked into."""
    named = [part for part in os.environ.get("ROOFCALC_PATH", "").split(os.pathsep) if part]
    return [part for part in named if not (os.path.isdir(part) and os.access(part, os.R_OK | os.X_OK))]


def files_in(*places: Path) -> dict[str, list[Path]]:
    """Every YAML file of these directories by its normalised name, in their order."""
    return {name: [Path(path) for path in paths] for name, paths in _paths_in(*map(str, places)).items()}


@lru_cache(maxsize=8)
def _paths_in(*places: str) -> dict[str, list[str]]:
    """The same as text: a record for each of hundreds of paths would take longer than all of an answer."""
    found: dict[str, list[str]] = {}
    for place in places:
        for path in _files(place):
            if path.endswith((".yaml", ".yml")):
                stem = path[path.rfind(os.sep) + 1 : path.rfind(".")]
                found.setdefault(normal(stem), []).append(path)
    return found


def _files(folder: str) -> Iterator[str]:
    """Every file, those of hidden and linked folders left out; a folder's own before those of the folders in it."""
    try:
        with os.scandir(folder) as inside:
            ordered = sorted(inside, key=lambda one: one.name)
    except OSError:
        return
    folders = []
    for one in ordered:
        if _is_folder(one):
            folders.append(one)
        else:
            yield one.path
    for one in folders:
        if not one.is_symlink() and not one.name.startswith("."):
            yield from _files(one.path)


def _is_folder(one: os.DirEntry[str]) -> bool:
    try:
        return one.is_dir()
    except OSError:  # a link that leads to itself
        return False


def find(kind: Kind, text: str) -> Found:
    """The entry that `text` names: by its own name, an alias, or as a path; a model also by its config.json or that file's folder.

    Raises
    ------
    RoofcalcError
        No entry has that name, or several begin with it; names the nearest.
    """
    if kind == "models" and is_configuration(text):
        return Found(Path(text).stem, Path(text), config=True)
    if _is_path(text):
        return Found(Path(text).stem, Path(text))
    wanted = normal(text)
    if wanted and (paths := _paths_in(*map(str, directories(kind))).get(wanted)):
        return Found(Path(paths[0]).stem, Path(paths[0]))
    known = entries(kind)
    also = _aliased(known)
    if wanted in also:
        name = also[wanted]
        note = None if "/" in wanted else f"{text.strip()} stands for {name}"
        return Found(known[name].stem, known[name], note)
    if kind == "models" and text and os.path.isdir(text):
        return Found(text, Path(text), config=True)
    raise RoofcalcError(_unknown(kind, text, wanted, known, also))


def _aliased(known: dict[str, Path]) -> dict[str, str]:
    """Every normalised alias and the entry that it stands for, the first of an alias winning. Looks into all files."""
    from roofcalc.catalog.alias_scan import aliases  # where a name is none of a file

    return {normal(alias): name for name, path in reversed(known.items()) for alias in aliases(path)}


def _is_path(text: str) -> bool:
    return text.endswith((".yaml", ".yml")) or (os.sep in text and os.path.isfile(text))


def is_configuration(text: str) -> bool:
    """A path to a JSON file, or to a folder with a config.json; a folder's bare name yields to a catalog's."""
    return text.endswith(".json") or ((os.sep in text or text in (os.curdir, os.pardir)) and os.path.isfile(os.path.join(text, "config.json")))


def _unknown(kind: Kind, text: str, wanted: str, known: dict[str, Path], also: dict[str, str]) -> str:
    what = "model" if kind == "models" else "hardware"
    begin = sorted(name for name in known if name.startswith(wanted + "-")) if wanted else []
    if len(begin) > 1:
        return f"{what} {text!r} is ambiguous: {', '.join(begin)}"
    if text.endswith(".json") or (text and os.path.isdir(text)):
        return f"{text}: not a roofcalc YAML file"
    count = re.match(r"(\d+)[^a-z0-9]*(?=[a-z])", wanted)
    if kind == "hardware" and count and (wanted[count.end() :] in known or wanted[count.end() :] in also):
        return f"unknown hardware {text!r}; several devices are written {count.group(1)}x{wanted[count.end() :]}"
    if misplaced := _of_other_kind(kind, text):
        return misplaced
    close = list(dict.fromkeys(also.get(name, name) for name in begin or nearest(wanted, [*known, *also])))
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    return f"unknown {what} {text!r}{hint} (`roofcalc {kind} list` prints all)"


def _of_other_kind(kind: Kind, text: str) -> str | None:
    """What to say of a name that is an entry of the other catalog."""
    other: Kind = "hardware" if kind == "models" else "models"
    name = normal(_COUNTED.sub("", text) if other == "hardware" else text)
    known = entries(other)
    if name not in known and name not in _aliased(known):
        return None
    what = "hardware, not a model" if other == "hardware" else "a model, not hardware"
    return f"{text!r} is {what}: commands take MODEL first, then HARDWARE (`roofcalc {other} show {text.strip()}` shows it)"


def raw(kind: Kind, found: Found, depth: int = 0) -> tuple[dict[str, Any], Lines]:
    """A file's plain values and lines, with what it is `like` underneath."""
    if found.config:
        from roofcalc.catalog.huggingface import importer  # only where such a path is named

        return importer.read(str(found.path))[0], {}
    value, lines = yamlfile.load(found.path)
    name = value.get("like")
    if name is None:
        return value, lines
    if not isinstance(name, str) or depth > 4:
        raise RoofcalcError(f"{lines[('like',)]}: like: expected the name of another entry, without a circle")
    base, base_lines = raw(kind, _other(kind, name, found), depth + 1)
    merged = {key: copy.deepcopy(item) for key, item in base.items() if key not in _NOT_INHERITED}
    sources, own = merged.get("sources"), value.get("sources")
    merged.update({key: item for key, item in value.items() if key != "like"})
    if isinstance(sources, list) and isinstance(own, list):
        merged["sources"] = [*sources, *own]
    return merged, {**base_lines, **lines}


def _other(kind: Kind, name: str, found: Found) -> Found:
    """The entry called `name`, and not the file that says so: an entry may be like the one that it stands before."""
    paths = files_in(*directories(kind)).get(normal(name), [])
    behind = [path for path in paths if path != found.path]
    return Found(behind[0].stem, behind[0]) if behind else find(kind, name)


def model(text: str, changes: Sequence[Change] = ()) -> tuple[Model, list[str]]:
    """The model that `text` names, and notes about the name.

    Raises
    ------
    RoofcalcError
        Unknown name, unreadable file, or every problem of the file at once.
    """
    found = find("models", text)
    value, lines = raw("models", found)
    apply(value, lines, [change for change in changes if change.target == "models"])
    built = build(Model, value, lines, str(found.path))
    if not found.config:
        _check_stem(built.name, found)
    elif built.notes:
        return built, [*_notes(found, built), f"{built.name}: {built.notes}"]
    return built, _notes(found, built)


def hardware(text: str, changes: Sequence[Change] = ()) -> tuple[Hardware, list[str]]:
    """What `[N x]device`, a system's name or a path stands for, and notes about the name.

    Raises
    ------
    RoofcalcError
        Unknown name, unreadable file, a count without links, or every problem of the file at once.
    """
    match = None if os.path.isfile(text) else _COUNTED.match(text)
    times, name = (int(match.group(1)[:8]), text[match.end() :]) if match else (1, text)
    if not 1 <= times <= _MAX_COUNT:
        raise RoofcalcError(f"hardware {text!r}: expected 1 to {_MAX_COUNT} devices")
    found = find("hardware", name)
    value, lines = raw("hardware", found)
    own = [change for change in changes if change.target == "hardware"]
    if "device" not in value:
        apply(value, lines, own)
        device = build(Device, value, lines, str(found.path))
        _check_stem(device.name, found)
        label = f"{times}x{device.name}" if match else device.name
        built = Hardware(label, device, times, device.link, _bytes_per_s(device.scale_out_gb_s))
        return _joined(built), _notes(found, device)
    of_system = [change for change in own if change.path[0] in value]
    apply(value, lines, of_system)
    system = build(System, value, lines, str(found.path))
    _check_stem(system.name, found)
    below = find("hardware", system.device)
    value, lines = raw("hardware", below)
    apply(value, lines, [change for change in own if change not in of_system])
    device = build(Device, value, lines, str(below.path))
    label = f"{times}x{system.name}" if times > 1 else system.name
    built = Hardware(
        label,
        device,
        times * system.count,
        system.link or device.link,
        _bytes_per_s(system.scale_out_gb_s or device.scale_out_gb_s),
        system,
    )
    return _joined(built), [*_notes(found, system), *_notes(below, device)]


def _bytes_per_s(gb_s: float | None) -> float | None:
    return None if gb_s is None else gb_s * 1e9


def _joined(hardware: Hardware) -> Hardware:
    """`hardware`, if its devices can reach one another."""
    if hardware.count > hardware.domain and hardware.scale_out_bytes_per_s is None:
        reach = f"its link joins {hardware.domain}" if hardware.link else "the device has no link to others"
        raise RoofcalcError(
            f"{hardware.name}: {hardware.count} devices, but {reach} and scale_out_gb_s is not given (--set hardware.scale_out_gb_s=… gives it)"
        )
    return hardware


def _check_stem(name: str, found: Found) -> None:
    if name != found.path.stem:
        raise RoofcalcError(f"{found.path}: name: {name!r} must equal the file's name {found.path.stem!r}")


def _notes(found: Found, record: Model | Device | System) -> list[str]:
    notes = [f"ROOFCALC_PATH: {place} is no directory that can be read" for place in unreadable_directories()]
    notes += [found.note] if found.note else []
    if record.announced:
        notes.append(f"{record.name} is announced: its figures are the maker's plans")
    if record.unverified:
        notes.append(f"{record.name}: not verified at a source: {', '.join(record.unverified)}")
    return notes
