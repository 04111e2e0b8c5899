"""Names -> catalog files -> validated records. Only the files that are named are parsed, each once while it stays unchanged.

Handles catalog folders, aliases, `like:` and overrides; the meaning of a figure belongs to `roofcalc.specs`.
"""

import os
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from roofcalc.catalog import listing, yamlfile
from roofcalc.catalog.file_cache import Stamp, cached, stamp
from roofcalc.catalog.listing import Names
from roofcalc.catalog.listing import normal as normal  # part of this module's interface
from roofcalc.catalog.overrides import Change, Kind, apply
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Device, Hardware, System
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record
from roofcalc.specs.schema import Lines, Problem, try_build

T = TypeVar("T", bound=Record)

_NOT_INHERITED = ("name", "aliases", "title", "like", "notes", "unverified", "announced", "known_difference")
_MAX_LIKE = 32  # entries in a chain of `like:`
COUNTED = re.compile(r"\s*([0-9]+)\s*[x×]\s*(?=\S)", re.IGNORECASE)


class EntryFile(NamedTuple):
    """The file of a catalog entry.

    Attributes
    ----------
    note : str, optional
        Which entry an alias was resolved to.
    config : bool
        A Hugging Face configuration instead of a catalog file.
    weights : str, optional
        Recipe that the name gives (`Qwen3-32B-AWQ`), where it is not the checkpoint's own.
    """

    name: str
    path: Path
    note: str | None = None
    config: bool = False
    weights: str | None = None


class _Parsed:
    """Plain values of one file and the line of each. Compared by identity: a file that changed is parsed again."""

    def __init__(self, values: dict[str, Any], lines: Lines) -> None:
        self.values = values
        self.lines = lines


class Entry:
    """Plain values of an entry with the `like:` bases filled in, and the records built from them."""

    def __init__(self, values: dict[str, Any], lines: Lines) -> None:
        self.values = values
        self.lines = lines
        self._built: dict[tuple[type[Record], str], tuple[Any, list[Problem]]] = {}

    def build(self, record: type[T], file: str, changes: Sequence[Change]) -> T:
        """The record with the changes applied; only the parts that they touch are validated anew.

        Raises
        ------
        RoofcalcError
            Every problem of the file at once, or a change of a field that does not exist.
        """
        if (record, file) not in self._built:
            self._built[record, file] = try_build(record, self.values, self.lines, file)
        built, problems = self._built[record, file]
        if changes:
            values, lines = dict(self.values), dict(self.lines)
            apply(values, lines, changes)
            base = None if problems else built
            built, problems = try_build(record, values, lines, file, base, [change.path for change in changes])
        if problems:
            raise RoofcalcError(*map(str, problems))
        result: T = built
        return result


def directories(kind: Kind) -> list[Path]:
    """Folders in which entries of `kind` are looked up: those of ROOFCALC_PATH first, then the built-in ones."""
    user = [Path(part) / kind for part in os.environ.get("ROOFCALC_PATH", "").split(os.pathsep) if part]
    return [*user, built_in(kind)]


@lru_cache(maxsize=2)
def built_in(kind: Kind) -> Path:
    """The packaged catalog, else the checkout's."""
    here = Path(__file__).resolve().parent.parent
    packaged = here / "catalogs" / kind
    return packaged if packaged.is_dir() else here.parent / kind


def names(kind: Kind) -> Names:
    """Every entry's normalised name and its files in look-up order. Reads directories, no files. Shared: not to be changed."""
    *user, packaged = map(str, directories(kind))
    return listing.names_in(*user, packaged=packaged)


def entries(kind: Kind) -> dict[str, Path]:
    """Every entry's normalised name and the file that is used for it."""
    return {name: Path(paths[0]) for name, paths in names(kind).items()}


def unreadable_directories() -> list[str]:
    """Directories named in ROOFCALC_PATH that do not exist or cannot be read."""
    named = [part for part in os.environ.get("ROOFCALC_PATH", "").split(os.pathsep) if part]
    return [part for part in named if not (os.path.isdir(part) and os.access(part, os.R_OK | os.X_OK))]


def files_in(*places: Path) -> dict[str, list[Path]]:
    """Every YAML file of these directories by its normalised name, in their order."""
    return {name: [Path(path) for path in paths] for name, paths in listing.names_in(*map(str, places)).items()}


def find(kind: Kind, text: str) -> EntryFile:
    """The entry that `text` names: by its own name, an alias, or a path; a model also by its config.json or that file's folder.

    Raises
    ------
    RoofcalcError
        No entry has that name, or several begin with it; the message gives the nearest names.
    """
    if (entry_file := exact(kind, text)) is not None:
        return entry_file
    if kind == "models" and text and os.path.isdir(text):
        return EntryFile(text, Path(text), config=True)
    if kind == "models" and text.strip():
        from roofcalc.catalog import model_search  # only for names without an exact match

        if (entry_file := model_search.search(text)) is not None:
            return entry_file
    from roofcalc.catalog.unknown_names import unknown

    raise unknown(kind, text)


def exact(kind: Kind, text: str) -> EntryFile | None:
    """The entry whose path, name or alias is `text`."""
    if kind == "models" and is_configuration(text):
        return EntryFile(Path(text).stem, Path(text), config=True)
    if _is_path(text):
        return EntryFile(Path(text).stem, Path(text))
    wanted, known = normal(text), names(kind)
    if wanted and (paths := known.get(wanted)):
        return EntryFile(Path(paths[0]).stem, Path(paths[0]))
    name = aliased(kind).get(wanted)
    if name is None:
        return None
    path = Path(known[name][0])
    others = [one for one in known if one.startswith(wanted + "-") and one != name] if kind == "hardware" else []
    note = f"{text.strip()!r} is an alias of {name}" + (f"; others: {', '.join(others)}" if others else "")
    return EntryFile(path.stem, path, None if "/" in wanted else note)


def aliased(kind: Kind) -> dict[str, str]:
    """Every normalised alias and the name of its entry; the first entry with an alias wins."""
    return _aliased(kind, names(kind))


def _aliased(kind: Kind, known: Names) -> dict[str, str]:
    """Every normalised alias and the name of its entry; the first entry with an alias wins.

    Aliases of users' files are read again when a file changes; of built-in files only when one is added or replaced.
    """
    packaged = str(built_in(kind))
    paths = tuple(paths[0] for paths in known.values())
    return _aliases_of(tuple(known), paths, tuple(stamp(path) for path in paths if not path.startswith(packaged)))


@lru_cache(maxsize=4)
def _aliases_of(names: tuple[str, ...], paths: tuple[str, ...], stamps: tuple[Stamp | None, ...]) -> dict[str, str]:
    from roofcalc.catalog.alias_scan import aliases  # only needed for names without a file

    pairs = zip(reversed(names), reversed(paths), strict=True)
    return {normal(alias): name for name, path in pairs for alias in aliases(Path(path))}


def _is_path(text: str) -> bool:
    return text.endswith((".yaml", ".yml")) or (os.sep in text and not text.lower().endswith(".gguf") and os.path.isfile(text))


def is_configuration(text: str) -> bool:
    """A path to a JSON file, or to a folder with a config.json; a folder's bare name yields to a catalog's."""
    return text.endswith(".json") or ((os.sep in text or text in (os.curdir, os.pardir)) and os.path.isfile(os.path.join(text, "config.json")))


def raw(kind: Kind, entry_file: EntryFile) -> tuple[dict[str, Any], Lines]:
    """A file's plain values and lines, with the entry named by `like:` underneath. Not to be changed in place."""
    values = entry(kind, entry_file)
    return values.values, values.lines


def entry(kind: Kind, entry_file: EntryFile) -> Entry:
    """The values of an entry, with the entry named by `like:` underneath."""
    files = [_parsed(entry_file)]
    chain = [entry_file]
    while (name := files[-1].values.get("like")) is not None:
        place = files[-1].lines[("like",)]
        if not isinstance(name, str):
            raise RoofcalcError(f"{place}: like: expected the name of another entry")
        entry_file = _other(kind, name, entry_file)
        if entry_file.path in (one.path for one in chain):
            raise RoofcalcError(f"{place}: like: a circle: {' → '.join(one.name for one in (*chain, entry_file))}")
        if len(chain) > _MAX_LIKE:
            raise RoofcalcError(f"{place}: like: a chain of more than {_MAX_LIKE} entries; name one of the first ones instead")
        chain.append(entry_file)
        files.append(_parsed(entry_file))
    return _combined(*files)


@lru_cache(maxsize=1024)
def _combined(*files: _Parsed) -> Entry:
    """The values of an entry over those of its `like:` bases; `files` begins with the entry itself."""
    *own, base = files
    values, lines = base.values, base.lines
    for file in reversed(own):
        merged = {key: item for key, item in values.items() if key not in _NOT_INHERITED}
        inherited, sources = merged.get("sources"), file.values.get("sources")
        merged.update({key: item for key, item in file.values.items() if key != "like"})
        if isinstance(inherited, list) and isinstance(sources, list):
            merged["sources"] = [*inherited, *sources]
        values, lines = merged, {**lines, **file.lines}
    return Entry(values, lines)


def _parsed(entry_file: EntryFile) -> _Parsed:
    if not entry_file.config:
        return cached(_read, entry_file.path)
    from roofcalc.catalog.huggingface import jsonfile  # only where such a path is named

    return cached(_read_configuration, entry_file.path, *jsonfile.files(entry_file.path))


def _read(path: Path) -> _Parsed:
    return _Parsed(*yamlfile.load(path))


def _read_configuration(path: Path) -> _Parsed:
    from roofcalc.catalog.huggingface import importer

    return _Parsed(importer.read(str(path))[0], {})


def _other(kind: Kind, name: str, entry_file: EntryFile) -> EntryFile:
    """The entry called `name` in another file than `found`: an entry may be `like` the built-in one of the same name."""
    for path in map(Path, names(kind).get(normal(name), ())):
        if path != entry_file.path:
            return EntryFile(path.stem, path)
    return find(kind, name)


def model(text: str, changes: Sequence[Change] = ()) -> tuple[Model, list[str]]:
    """The model that `text` names, and notes about the name.

    Raises
    ------
    RoofcalcError
        Unknown name, unreadable file, or every problem of the file at once.
    """
    entry_file = find("models", text)
    built = entry("models", entry_file).build(Model, str(entry_file.path), [change for change in changes if change.target == "models"])
    if not entry_file.config:
        check_stem(built.name, entry_file)
    elif built.notes:
        return built, [*notes(entry_file, built), f"{built.name}: {built.notes}"]
    return built, notes(entry_file, built)


def weights(text: str) -> str | None:
    """The weights recipe that a model's name gives: `Qwen3-32B-AWQ`, `llama3.1:8b`; None for the checkpoint's own."""
    return find("models", text).weights


def hardware(text: str, changes: Sequence[Change] = ()) -> tuple[Hardware, list[str]]:
    """The machine that `text` names (`roofcalc.catalog.machines`), and notes about the name.

    Raises
    ------
    RoofcalcError
        Unknown name, unreadable file, or every problem of the file at once.
    """
    from roofcalc.catalog import machines  # builds on this module

    return machines.hardware(text, changes)


def check_stem(name: str, entry_file: EntryFile) -> None:
    """Refuses an entry whose name is not its file's."""
    if name != entry_file.path.stem:
        raise RoofcalcError(f"{entry_file.path}: name: {name!r} must equal the file's name {entry_file.path.stem!r}")


def notes(entry_file: EntryFile, record: Model | Device | System) -> list[str]:
    """What is said of an entry: which alias named it, that it is announced, what is not verified."""
    found = [f"ROOFCALC_PATH: {place} is not a readable directory" for place in unreadable_directories()]
    found += [entry_file.note] if entry_file.note else []
    if record.announced:
        found.append(f"{record.name}: announced product, figures are vendor projections")
    if record.unverified:
        found.append(f"{record.name}: not verified at a source: {', '.join(record.unverified)}")
    return found
