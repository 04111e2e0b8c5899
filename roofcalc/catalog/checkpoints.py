"""Published checkpoints from `models/checkpoints.csv`: which model a repository holds, and the weight recipe of its files."""

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from roofcalc.catalog import lookup, tables
from roofcalc.errors import RoofcalcError
from roofcalc.specs import weight_recipes

FILE = "checkpoints.csv"
HEADER = ("repo_id", "file", "model", "format", "kind", "weights", "mtp", "notes", "published_bytes", "precision_bytes", "source")


class Checkpoint(NamedTuple):
    """A published file, or all files of a repository.

    Attributes
    ----------
    repo_id, file : str
        PUBLISHER/NAME; the file or branch, empty for a repository of one checkpoint.
    model : str
        Name in the catalog.
    format, kind : str
        safetensors, gguf, awq, gptq, mlx, ollama, or loaded (the size is that of the weights in memory); the kind as its publisher names it.
    weights : str
        Recipe (`roofcalc.specs.weight_recipes`).
    mtp : str
        Recipe of the multi-token-prediction layers where the files include them, else empty.
    published_bytes, precision_bytes : float or None
        The published size, and the unit of its last digit.
    """

    repo_id: str
    file: str
    model: str
    format: str
    kind: str
    weights: str
    mtp: str
    notes: str
    published_bytes: float | None
    precision_bytes: float | None
    source: str


def checkpoint(repo_id: str, file: str | None = None) -> tuple[str, str] | None:
    """The model of a repository and the recipe of its weights; None for a repository that is not in the table.

    Parameters
    ----------
    repo_id : str
        PUBLISHER/NAME in any case, also with `:KIND` behind it.
    file : str, optional
        A file, branch or kind. By default the main branch, Q4_K_M among GGUF files (as llama.cpp takes), else the first row.
    """
    repository, _, kind = repo_id.strip().partition(":")
    wanted = _plain(file or kind)
    rows = _by_repository().get(lookup.normal(repository), ())
    if not rows:
        return None
    if wanted:
        rows = tuple(row for row in rows if wanted in (_plain(row.file), _plain(row.file.removesuffix(".gguf")), _plain(row.kind)))
        return (rows[0].model, rows[0].weights) if rows else None
    usual = next((row for row in rows if row.file in ("", "main") or row.kind == "Q4_K_M"), rows[0])
    return usual.model, usual.weights


def published(model: str, weights: str, formats: Collection[str]) -> Checkpoint | None:
    """The first checkpoint of a model with a recipe of weights in one of the formats; None where none is known."""
    for row in checkpoints():
        if row.model == model and row.weights == weights and row.format in formats:
            return row
    return None


def checkpoints() -> tuple[Checkpoint, ...]:
    """Every row, users' tables first.

    Raises
    ------
    RoofcalcError
        Every problem of the tables, with file and line.
    """
    return tuple(row for table in tables.rows(tables.files("models", FILE), HEADER, _row) for row in table)


def _by_repository() -> dict[str, tuple[Checkpoint, ...]]:
    return _grouped(checkpoints())


@lru_cache(maxsize=4)
def _grouped(rows: tuple[Checkpoint, ...]) -> dict[str, tuple[Checkpoint, ...]]:
    found: dict[str, tuple[Checkpoint, ...]] = {}
    for row in rows:
        key = lookup.normal(row.repo_id)
        found[key] = (*found.get(key, ()), row)
    return found


def _plain(text: str) -> str:
    return text.strip().lower().replace("-", "_")


def _row(line: tables.Line, problems: list[str]) -> Checkpoint:
    repo_id, file, model, form, kind, weights, mtp, notes, size, precision, source = line.cells
    for name, value in (("repo_id", repo_id), ("model", model), ("format", form), ("kind", kind), ("source", source)):
        tables.check_given(value, name, problems)
    for name, value in (("weights", weights), ("mtp", mtp or weight_recipes.NATIVE)):
        try:
            weight_recipes.parse(value)
        except RoofcalcError as error:
            problems.append(f"{name}: {error}")
    sizes = [tables.positive(text, name, problems) if text else None for name, text in (("published_bytes", size), ("precision_bytes", precision))]
    return Checkpoint(repo_id, file, model, form, kind, weights, mtp, notes, sizes[0], sizes[1], source)
