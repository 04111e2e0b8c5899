"""`models list` and `models show`: tables of model architectures."""

from collections.abc import Iterator, Sequence
from typing import Any

from roofcalc.catalog import lookup
from roofcalc.commands.catalog_list.figures import Figure, Shown, caveats, remarks, show, split
from roofcalc.commands.catalog_list.rows import Row, arranged, format_cell, found_by, matches, natural, parse_filter
from roofcalc.report.table import Column, Table
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Model
from roofcalc.specs.parameter_count import as_published, count

_KINDS = ("dense", "moe", "hybrid", "recurrent")
MODEL_COLUMNS = (
    Column("name", "name", "", "catalog name", "text", 9),
    Column("publisher", "publisher", "", "who released it", "text", 6),
    Column("kind", "kind", "", "dense, moe, hybrid or recurrent", "text", 7),
    Column("layers", "layers", "", "number of layers", "count", 7),
    Column("params", "parameters", "", "counted from the fields", "count", 9),
    Column("active", "active", "", "used by one token, without the input embedding", "count", 7),
    Column("context", "context", "tokens", "longest that the model supports", "count", 7),
    Column("kv_bytes_per_token", "KV", "bytes/token", "16-bit cache that grows with the context", "count", 8),
    Column("dtype", "dtype", "", "of the checkpoint", "text", 6),
    Column("family", "family", "", "generation of the model", "text", 2),
)


def models_list(
    search: str | None = None,
    *,
    family: str | None = None,
    publisher: str | None = None,
    kind: str | None = None,
    sort: str | None = None,
) -> Table:
    """Every model of the catalogs, one row each.

    Parameters
    ----------
    search : str
        Only models with these words in their name, aliases, title, family or publisher.
    family, publisher, kind : str
        Filters, as comma lists; kinds are dense, moe, hybrid and recurrent.
    sort : str
        Column to sort by: numbers in descending order, text alphabetically.

    Raises
    ------
    RoofcalcError
        A filter value that no entry has, or an unknown column.
    """
    table = Table("models list", MODEL_COLUMNS)
    models = sorted(format_cell(table, "models", lookup.model), key=lambda model: natural(model.name))
    families = parse_filter("family", family, [model.family for model in models])
    publishers = parse_filter("publisher", publisher, [model.publisher for model in models])
    kinds = parse_filter("kind", kind, _KINDS)
    models = [one for one in models if found_by(search, one.name, one.aliases, one.title, one.family, one.publisher)]
    if search is not None and not models:
        table.notes.append(f"no model has {search!r} in its name, aliases, title, family or publisher")
    chosen = [one for one in models if matches(families, one.family) and matches(publishers, one.publisher) and matches(kinds, kind_of(one))]
    return arranged(table, [_row(model) for model in chosen], sort)


def models_show(model: str | Sequence[str]) -> Table:
    """All figures of the named models with their sources; several entries side by side."""
    shown, notes = dict[str, Shown](), list[str]()
    for name in split(model, "model"):
        found, lookup_notes = lookup.model(name)
        notes += lookup_notes
        shown[name] = Shown(found.name, [*_figures(found), *caveats(found)], [*_count_sources(found), *remarks(found)])
    table = show("models show", "model", shown)
    table.notes[:0] = dict.fromkeys(notes)
    return table


def kv_elements_per_token(model: Model) -> int:
    """Cache elements that each further token adds over all layers: windows, chunks and borrowers add none."""
    attentions = ((model.blocks[name].attention, layers) for name, layers in model.groups.items())
    return sum(layers * attention.kv_elements_per_token() for attention, layers in attentions if attention is not None)


def _figures(model: Model) -> Iterator[Figure]:
    counted = count(model)
    yield Figure("title", model.title or model.name)
    yield Figure("publisher", model.publisher)
    yield Figure("context", model.context, "tokens")
    yield Figure("layers", model.depth)
    yield Figure("pattern", model.layers)
    yield Figure("hidden size", model.hidden)
    yield Figure("vocabulary", model.vocab, "tokens")
    for name, layers in model.groups.items():
        for part in model.blocks[name].parts:
            yield Figure(f"{name} ({layers}): {part.type}", _described(part), shared_label=f"{name}: {part.type}")
    total, active = as_published(model)
    yield Figure("parameters, counted", counted.total)
    if model.published and model.published.params:
        if model.published.includes:
            yield Figure(f"counted with {', '.join(model.published.includes)}".replace("_", " "), total)
        yield Figure("parameters, published", model.published.params)
        yield Figure("difference", total - model.published.params)
    yield Figure("parameters active per token", counted.active)
    if model.published and model.published.active:
        if model.published.active_embedding:
            yield Figure("active, the input embedding too", active)
        if not model.published.active_head:
            yield Figure("active, the head left out", active)
        yield Figure("active, published", model.published.active)
    if counted.mtp:
        yield Figure("multi-token prediction, apart", counted.mtp)
    if counted.excluded:
        yield Figure("towers not modelled, apart", counted.excluded)
    elements = kv_elements_per_token(model)
    yield Figure("KV cache, 16-bit", 2 * elements, "bytes/token")
    yield Figure("KV cache, fp8", elements, "bytes/token")
    yield Figure("dtype", _dtype(model))
    if model.known_difference:
        for what, params in model.known_difference.params.items():
            yield Figure(f"known difference: {what}", params)


def _count_sources(model: Model) -> Iterator[Figure]:
    """Source of the published parameter count, and the cause of a known difference."""
    if model.published and model.published.source:
        yield Figure("published at", model.published.source)
    if model.known_difference:
        yield Figure("known difference, cause", model.known_difference.cause)


def _described(part: Any) -> str:
    """A part's fields that differ from their defaults, with the keys of the catalog file."""
    shown = [(field.name, getattr(part, field.name), field.default) for field in part.fields_]
    return ", ".join(f"{name} {str(value).lower() if isinstance(value, bool) else value}" for name, value, default in shown if value != default)


def _row(model: Model) -> Row:
    counted = count(model)
    return {
        "name": model.name,
        "publisher": model.publisher,
        "kind": kind_of(model),
        "layers": model.depth,
        "params": counted.total,
        "active": counted.active,
        "context": model.context,
        "kv_bytes_per_token": 2 * kv_elements_per_token(model),
        "dtype": _dtype(model),
        "family": model.family,
    }


def kind_of(model: Model) -> str:
    """Kind of architecture: dense, moe, hybrid or recurrent."""
    blocks = [model.blocks[name] for name in model.groups]
    states, attentions = any(b.state for b in blocks), any(b.attention for b in blocks)
    if states:
        return "hybrid" if attentions else "recurrent"
    return "moe" if any(isinstance(b.mlp, Experts) for b in blocks) else "dense"


def _dtype(model: Model) -> str:
    dtypes = model.dtypes
    others = {value for value in (dtypes.attention, dtypes.mlp, dtypes.experts, dtypes.shared, dtypes.embed, dtypes.head) if value}
    return dtypes.default if others <= {dtypes.default} else "+".join(dict.fromkeys([dtypes.default, *sorted(others)]))
