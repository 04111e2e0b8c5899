"""What model a name without an exact match stands for, and the weights recipe that the name gives.

In this order: published checkpoints (models/checkpoints.csv), Ollama tags (models/ollama.csv), the same repository without its precision,
the entry that the name resembles, one whose size the name gives in parameters, and the model that a fine-tune is named after.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from roofcalc.catalog import checkpoints, lookup, refused_models
from roofcalc.catalog.listing import normal
from roofcalc.catalog.model_names import DEFAULT_GGUF, Written, address_free, contained, inner_recipe, matches, squashed, tokens, written
from roofcalc.errors import RoofcalcError
from roofcalc.specs import weight_recipes
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import count

OLLAMA = "ollama.csv"
LONGEST = 1000  # characters of a name that is read at all: an address with its path
SHOWN = 6  # other entries that a note lists
MOST_ALIKE = 6  # entries that a family's name alone may mean
SIZE_TOLERANCE = 0.1  # of the parameters that a name gives, against the entry's count
_TAG = re.compile(r"[^/:]+:[^/:]+")
_QUANTISED = re.compile(r"-((?:iq[1-4]_(?:xxs|xs|s|m|nl)|q[2-8]_k(?:_[sml])?|q[4-8]_[01])|fp16|bf16|fp8|mxfp4)$", re.IGNORECASE)


class Meant(NamedTuple):
    """A catalog entry, the recipe of its weights or None for the checkpoint's own, and notes."""

    name: str
    recipe: str | None
    note: str


def search(text: str) -> lookup.EntryFile | None:
    """The entry and recipe that a name stands for; None where nothing is near.

    Raises
    ------
    RoofcalcError
        A closed model, one that is no decoder, a size that no entry has, or a family of many sizes.
    """
    if len(text) > LONGEST:
        return None
    name = address_free(text)
    for way in (_published, _tag):
        if (meant := way(text)) is not None:
            return _entry(text, meant)
    if refused := refused_models.closed(name):
        raise refused
    if (meant := _named(text)) is not None:
        return _entry(text, meant)
    if refused := refused_models.other_kind(name):
        raise refused
    return None


def _entry(text: str, meant: Meant) -> lookup.EntryFile:
    recipe = _differing(meant, DEFAULT_GGUF in text.lower())
    return lookup.find("models", meant.name)._replace(note=f"{text.strip()!r} is {meant.note}", weights=recipe)


def _differing(meant: Meant, kind_named: bool) -> str | None:
    """The recipe of a name, unless the published checkpoint is in that format anyway: gpt-oss in mxfp4, its GGUF files included."""
    if meant.recipe is None:
        return None
    recipe = weight_recipes.parse(meant.recipe)
    stored = lookup.entry("models", lookup.find("models", meant.name)).values.get("dtype") or {}
    native = {_family(str(value)) for value in (stored.values() if isinstance(stored, dict) else [stored])}
    asked = {_family(item.dtype) for item in recipe.items}
    if "mxfp4" in native and (meant.recipe == "mxfp4_moe" or (meant.recipe == DEFAULT_GGUF and not kind_named)):
        return None
    return None if recipe.linear_only and asked <= native and asked else meant.recipe


def _family(dtype: str) -> str:
    """A dtype without its groups: fp8 of fp8-block128."""
    return dtype.lower().partition("-")[0]


def _published(text: str) -> Meant | None:
    """A repository of the table of checkpoints, also by an older id (`Meta-Llama-…`)."""
    name = address_free(text)
    said = written(text)
    dynamic = f"unsloth/{said.base}-GGUF:{said.recipe}" if (said.recipe or "").startswith("ud_") else ""  # a file name: Unsloth alone makes them
    if not dynamic and ("/" not in name or (said.recipe == DEFAULT_GGUF and DEFAULT_GGUF not in name.lower())):
        return None  # of a GGUF repository without a kind the table may lack the usual one
    for form in filter(None, (name, name.replace("/Meta-", "/", 1), dynamic)):
        if (found := checkpoints.checkpoint(form)) is not None:
            return Meant(found[0], None if found[1] == weight_recipes.NATIVE else found[1], found[0])
    return None


def _ollama_rows() -> tuple[dict[str, str], ...]:
    return _rows(str(lookup.built_in("models") / OLLAMA))


def of_size(size: str) -> list[str]:
    """Models of a size that Ollama offers, the latest row first: what a size alone may mean."""
    return list(dict.fromkeys(row["model"] for row in reversed(_ollama_rows()) if row["size"] == size))


@lru_cache(maxsize=2)
def _rows(path: str) -> tuple[dict[str, str], ...]:
    with open(path, encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def _tag(text: str) -> Meant | None:
    """An Ollama tag: `llama3.1:70b-instruct-q4_K_M`; without a kind of its own it is stored in the kind of the table."""
    name = address_free(text).removeprefix("library/")
    if not _TAG.fullmatch(name):
        if name == text.strip() or "/" in name:
            return None
        name = f"{name}:latest"  # `ollama run llama3.1`
    family, _, tag = name.lower().partition(":")
    rows = [row for row in _ollama_rows() if row["tag_name"] == family]
    kind = _QUANTISED.search(tag)
    rest = tag[: kind.start()] if kind else tag
    sized = [row for row in rows if rest == row["size"] or rest.startswith(f"{row['size']}-")]
    row = max(sized, key=lambda row: len(row["size"]), default=None)
    if row is None and tag == "latest":
        row = next((row for row in rows if row["default"] == "true"), None)
    if row is None and rows:  # `phi3:mini`: the family's usual kind, and the model that the tag's words name
        meant = _named(f"{family}-{rest}")
        return meant and meant._replace(recipe=kind.group(1).lower() if kind else rows[0]["default_quantisation"])
    if row is None:  # a family that the table lacks, in the usual kind
        meant = _named(f"{family}-{rest}")
        return meant and meant._replace(recipe=kind.group(1).lower() if kind else DEFAULT_GGUF)
    recipe = kind.group(1) if kind else "q4_0" if rest.endswith("-qat") else row["default_quantisation"]
    return Meant(row["model"], recipe.lower(), row["model"])


def _named(text: str) -> Meant | None:
    """An entry by its name, with the precision that a suffix gives."""
    said = written(text)
    base = said.base.replace(":", "-")
    known = _known()
    recipe = _checked(text, said)
    _refuse_families(base, known)
    for name in _exactly(said, known):
        return Meant(name, recipe, name)
    ways: tuple[Callable[[], list[str]], ...] = (
        lambda: _default_size(base, known),
        lambda: _newest(matches(base, known)),
        lambda: _by_parameters(base, known),
    )
    for way in ways:
        if found := way():
            others = f"; others: {', '.join(found[1 : SHOWN + 1])}" if len(found) > 1 else ""
            return Meant(found[0], recipe, f"taken for {found[0]}{others}")
    if refused_models.other_kind(base) is None and (found := _newest(contained(base, known))):
        return Meant(found[0], recipe, f"taken for a fine-tune of {found[0]}")
    return None


def _checked(text: str, said: Written) -> str | None:
    """The recipe of a suffix.

    Raises
    ------
    RoofcalcError
        Weights in a format without a recipe.
    """
    if bits := re.search(r"(?:(\d(?:\.\d+)?)bpw|exl[23]|aqlm|quip#?)", said.base, re.IGNORECASE):
        raise RoofcalcError(f"{text.strip()}: no recipe for {bits.group(0)} weights; leave it out of the name and give --weights, such as int4")
    if said.recipe is None:
        said = said._replace(recipe=inner_recipe(said.base))
    if said.recipe is None:
        return None
    for form in (said.recipe, f"ud_{said.recipe}", said.recipe.removeprefix("ud_"), said.recipe.replace("_xxl", "_xl").removeprefix("ud_")):
        try:
            return weight_recipes.parse(form).label
        except RoofcalcError:
            continue
    weight_recipes.parse(said.recipe)
    return None


def _exactly(said: Written, known: dict[str, list[str]]) -> Iterator[str]:
    """Entries with this name or alias once the precision, the publisher, or marks between words are gone."""
    for form in (said.repository, said.base):
        if (entry_file := lookup.exact("models", form)) is not None and not entry_file.config:
            yield entry_file.path.stem
    tails = {normal(alias.rpartition("/")[2]): name for name, aliases in known.items() for alias in aliases}
    if (name := tails.get(normal(said.base))) is not None:
        yield name
    bare = squashed(said.base)
    if bare and not bare[0].isdigit():
        for name, aliases in known.items():
            if bare in (squashed(one.rpartition("/")[2]) for one in (name, *aliases)):
                yield name


def _default_size(base: str, known: dict[str, list[str]]) -> list[str]:
    """A family without a size in the size that Ollama takes: `mixtral`, `llama3.1`; the others behind it."""
    rows = [row for row in _ollama_rows() if squashed(row["tag_name"]) == squashed(base)]
    usual = [row["model"] for row in rows if row["default"] == "true" and row["model"] in known]
    return list(dict.fromkeys([*usual, *(row["model"] for row in rows if row["model"] in known)])) if usual else []


def _newest(found: list[str]) -> list[str]:
    """Entries that are alike, those of the newest version first."""
    return sorted(found, key=lambda name: max((float(one) for one in tokens(name).versions if one.count(".") < 2), default=0.0), reverse=True)


def _refuse_families(base: str, known: dict[str, list[str]]) -> None:
    """Refuses a family's name alone, where it has many members.

    Raises
    ------
    RoofcalcError
        The name gives neither size nor version, and too many are alike.
    """
    asked = tokens(base)
    if asked.sizes or asked.versions or not asked.words or lookup.exact("models", base) is not None:
        return
    alike = _newest([name for name in known if tokens(name).words == asked.words])
    if len(alike) > MOST_ALIKE:
        raise RoofcalcError(f"model {base!r} may be any of {len(alike)}: {', '.join(alike[:SHOWN])} … (`roofcalc models list {base}` lists them)")


def _by_parameters(base: str, known: dict[str, list[str]]) -> list[str]:
    """Entries that match but for a size which is their number of parameters: `deepseek-v3-671b`, `phi-4-14b`."""
    asked = tokens(base)
    sizes = [one for one in asked.sizes if re.fullmatch(r"\d+(?:\.\d+)?[bmt]", one)]
    if not sizes or not (asked.versions or len(asked.words) > 1):
        return []
    wanted = max(float(one[:-1]) * {"m": 1e6, "b": 1e9, "t": 1e12}[one[-1]] for one in sizes)
    near = matches(base, known, with_sizes=False)
    return [name for name in near if len(near) <= 40 and abs(_parameters(name) / wanted - 1) <= SIZE_TOLERANCE]


def _parameters(name: str) -> float:
    entry_file = lookup.find("models", name)
    return float(count(lookup.entry("models", entry_file).build(Model, str(entry_file.path), ())).total)


def _known() -> dict[str, list[str]]:
    """Every entry and its aliases."""
    known: dict[str, list[str]] = {name: [] for name in lookup.names("models")}
    for alias, name in lookup.aliased("models").items():
        known[name].append(alias)
    return known
