"""Lint rules for models: fields against published parameter counts, and against each other."""

from roofcalc.catalog.lint_rules.finding import Issue, Issues
from roofcalc.specs.model import Model, Published
from roofcalc.specs.parameter_count import agrees, as_published, count

TOWER_REST = 0.11  # of a tower's parameters at most: those of its position tables, norms and biases


def issues(model: Model) -> Issues:
    """All findings for a model. Unused blocks are rejected by the schema."""
    published = model.published or Published()
    yield from _counts(model, published)
    yield from _known_difference(model, published)
    yield from _includes(model, published)
    yield from _tower(model)
    yield from _attention(model)


def _counts(model: Model, published: Published) -> Issues:
    if published.params is None:
        yield Issue("published", "no `params` to compare the count from the fields with", "warning")
    elif published.source is None:
        yield Issue("published", "`source` is missing: give the address at which the figures are published")
    total, active = as_published(model)
    cause = ", including known_difference" if model.known_difference else "; correct the fields or explain it under known_difference"
    for field, counted, printed, unit in (
        ("params", total, published.params, published.params_to),
        ("active", active, published.active, published.active_to),
    ):
        if printed is None:
            continue
        if not agrees(counted, printed, unit):
            more = cause if field == "params" else ""
            if unit == 1 and printed % 10**6 == 0:
                more += f"; for a rounded figure give its unit as {field}_to"
            yield Issue(f"published.{field}", f"{printed:,}, but the fields give {counted:,}: {printed - counted:+,}{more}")
        if printed % unit:
            yield Issue(f"published.{field}_to", f"{printed:,} is not a multiple of {unit:,}", "warning")


def _known_difference(model: Model, published: Published) -> Issues:
    known = model.known_difference
    if known is None:
        return
    if published.params is None:
        yield Issue("known_difference", "there is no published `params` to compare with")
    if sum(known.params.values()) == 0:
        yield Issue("known_difference.params", "the entries add up to 0")


def _includes(model: Model, published: Published) -> Issues:
    counted = count(model)
    for what, size in (("mtp", counted.mtp), ("towers", counted.excluded)):
        if what in published.includes and not size:
            yield Issue("published.includes", f"names {what}, but the model has no `{'mtp' if what == 'mtp' else 'excluded'}`")


def _tower(model: Model) -> Issues:
    """A tower's matrices against its parameters: position tables, norms and unused layers are the rest."""
    if model.vision is None:
        return
    matrices, stated = model.vision.elements, model.excluded.get("vision", 0)
    if not stated:
        yield Issue("vision", f"has {matrices:,} parameters: give them under `excluded`", "warning")
    elif not stated * (1 - TOWER_REST) <= matrices <= stated:
        yield Issue("vision", f"its matrices have {matrices:,} parameters, but excluded.vision is {stated:,}", "warning")


def _attention(model: Model) -> Issues:
    for name, block in model.blocks.items():
        for field, sentence in block.attention.warnings(model.context) if block.attention else ():
            yield Issue(f"blocks.{name}.attention.{field}", sentence, "warning")
