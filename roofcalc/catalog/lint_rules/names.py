"""Lint rules for names and aliases: ambiguous, shadowed or unreadable ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from roofcalc.catalog import lookup, yamlfile
from roofcalc.catalog.alias_scan import aliases
from roofcalc.catalog.lint_rules.finding import Issue
from roofcalc.errors import RoofcalcError


class Named(NamedTuple):
    """Normalised names of a file. `rank` is the position of its directory in the lookup order."""

    path: Path
    rank: int
    name: str
    aliases: tuple[str, ...]


def named(path: Path, rank: int) -> Named:
    """The names of a file as the lookup reads them."""
    return Named(path, rank, lookup.normal(path.stem), tuple(map(lookup.normal, aliases(path))))


class Names:
    """Files by name and by alias, over all catalog folders."""

    def __init__(self, entries: list[Named]) -> None:
        self.by_name: dict[str, list[Named]] = {}
        self.by_alias: dict[str, list[Named]] = {}
        for entry in entries:
            self.by_name.setdefault(entry.name, []).append(entry)
            for alias in dict.fromkeys(entry.aliases):
                self.by_alias.setdefault(alias, []).append(entry)

    def issues(self, entry_names: Named) -> Iterator[Issue]:
        """Findings for the name and the aliases of one of the files."""
        for other in self.by_name[entry_names.name]:
            if other.path != entry_names.path and other.rank == entry_names.rank:
                yield Issue("name", f"{entry_names.name} is also the name of {other.path}: only one of them can be used")
        written = _written(entry_names.path)
        if written is not None and written != aliases(entry_names.path):
            scanned = ", ".join(aliases(entry_names.path)) or "none"
            yield Issue("aliases", f"the lookup reads them as {scanned}: write them as `aliases: [one, other]`, without anchors or escapes")
        for alias in dict.fromkeys(entry_names.aliases):
            if entry_names.aliases.count(alias) > 1 or alias == entry_names.name:
                yield Issue("aliases", f"{alias} is given twice (case, spaces and _ are ignored)")
            for other in self.by_name.get(alias, ()):
                if other.name != entry_names.name:
                    yield Issue("aliases", f"{alias} is the name of {other.path}, which has precedence")
            for other in self.by_alias[alias]:
                if other.name != entry_names.name:
                    yield _shared(alias, entry_names, other)


def _shared(alias: str, entry_names: Named, other: Named) -> Issue:
    if entry_names.rank == other.rank:
        return Issue("aliases", f"{alias} is also an alias of {other.path}")
    first, rest = (entry_names, other) if entry_names.rank < other.rank else (other, entry_names)
    return Issue("aliases", f"{alias} refers to {first.name} here instead of {rest.name} ({rest.path})", "warning")


def _written(path: Path) -> list[str] | None:
    """The aliases as YAML parses them; None where the file has other problems."""
    try:
        listed = yamlfile.load(path)[0].get("aliases") or []
    except RoofcalcError:
        return None
    return listed if isinstance(listed, list) and all(isinstance(one, str) for one in listed) else None
