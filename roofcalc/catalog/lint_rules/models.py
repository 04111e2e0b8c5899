"""A model's fields against what its publisher prints, and against one another."""

from roofcalc.catalog.lint_rules.finding import Issue, Issues
from roofcalc.specs.model import Model, Published
from roofcalc.specs.parameter_count import agrees, as_published, count


def issues(model: Model) -> Issues:
    """Everything wrong or doubtful about a model; blocks that no layer uses are the schema's to refuse."""
    published = model.published or Published()
    yield from _counts(model, published)
    yield from _known_difference(model, published)
    yield from _includes(model, published)
    yield from _attention(model)


def _counts(model: Model, published: Published) -> Issues:
    if published.params is None:
        yield Issue("published", "no params: the count from the fields is compared with nothing", "warning")
    elif published.source is None:
        yield Issue("published", "`source` is missing: where are the figures printed?")
    total, active = as_published(model)
    cause = ", known_difference included" if model.known_difference else "; put the fields right or give its cause under known_difference"
    for field, counted, printed, unit in (
        ("params", total, published.params, published.params_to),
        ("active", active, published.active, published.active_to),
    ):
        if printed is None:
            continue
        if not agrees(counted, printed, unit):
            more = cause if field == "params" else ""
            if unit == 1 and printed % 10**6 == 0:
                more += f"; a rounded figure says to what: {field}_to"
            yield Issue(f"published.{field}", f"{printed:,}, but the fields make {counted:,}: {printed - counted:+,}{more}")
        if printed % unit:
            yield Issue(f"published.{field}_to", f"{printed:,} is not a whole number of {unit:,}", "warning")


def _known_difference(model: Model, published: Published) -> Issues:
    known = model.known_difference
    if known is None:
        return
    if published.params is None:
        yield Issue("known_difference", "there are no published params to differ from")
    if sum(known.params.values()) == 0:
        yield Issue("known_difference.params", "they sum to 0: there is no difference")


def _includes(model: Model, published: Published) -> Issues:
    counted = count(model)
    for what, size in (("mtp", counted.mtp), ("towers", counted.excluded)):
        if what in published.includes and not size:
            yield Issue("published.includes", f"names {what}, but the model has no `{'mtp' if what == 'mtp' else 'excluded'}`")


def _attention(model: Model) -> Issues:
    for name, block in model.blocks.items():
        for field, sentence in block.attention.warnings(model.context) if block.attention else ():
            yield Issue(f"blocks.{name}.attention.{field}", sentence, "warning")
