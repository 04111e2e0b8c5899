"""How a model spreads over devices: tensor, pipeline and data parallel degrees, and the stages of a pipeline.

Ranks are laid out tensor innermost, then data, then pipeline.
"""

from roofcalc.architecture.feedforward import Experts
from roofcalc.architecture.model import Model
from roofcalc.errors import RoofcalcError
from roofcalc.hardware import Hardware
from roofcalc.record import Record


class Layout(Record):
    """Degrees of parallelism; tensor × pipeline × data = devices."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    dcp: int = 1

    @property
    def devices(self) -> int:
        return self.tp * self.pp * self.dp


class Stage(Record):
    """A pipeline stage, and how many equal ones there are.

    Attributes
    ----------
    groups : tuple of (block name, layers)
    first, last : bool
        Holds the embedding; holds the head.
    sends : "", "link" or "scale_out"
        Over which wire it passes its output on.
    count : int
        Stages that are alike.
    """

    groups: tuple[tuple[str, int], ...]
    first: bool
    last: bool
    sends: str
    count: int = 1


def head_counts(model: Model) -> tuple[int, ...]:
    """The different numbers of query heads among the layers in use."""
    found = {model.blocks[name].attention for name in model.groups}
    return tuple(sorted({attention.heads for attention in found if attention is not None}))


def choose(model: Model, hardware: Hardware, tp: int | None = None, pp: int | None = None, dp: int | None = None) -> Layout:
    """The layout asked for; what is left open is filled in.

    Tensor parallel takes the largest power of two within the domain that divides the devices and the heads; the rest
    goes to data parallel for models with experts or a latent cache, else to the pipeline.

    Raises
    ------
    RoofcalcError
        The degrees do not multiply to the devices, tensor parallel does not divide the heads, or there are more stages
        than layers; names what is possible.
    """
    count, heads = hardware.count, head_counts(model)
    fixed = (tp or 1) * (pp or 1) * (dp or 1)
    if count % fixed or (tp and pp and dp and fixed != count):
        asked = " × ".join(f"{name} {value}" for name, value in (("tp", tp), ("pp", pp), ("dp", dp)) if value)
        raise RoofcalcError(f"{asked} does not make up the {count} devices of {hardware.name}: tp × pp × dp must be {count}")
    if tp is None:
        rest = count // fixed
        fits = [2**n for n in range(20) if 2**n <= hardware.domain and rest % 2**n == 0 and not any(h % 2**n for h in heads)]
        tp = rest if pp and dp else max(fits)
    if any(h % tp for h in heads):
        legal = [t for t in range(1, count + 1) if count % t == 0 and not any(h % t for h in heads)]
        raise RoofcalcError(
            f"tp {tp} does not divide the {' and '.join(map(str, heads))} query heads of {model.name}; "
            f"possible on {hardware.name}: {', '.join(map(str, legal))}"
        )
    left = count // (tp * (pp or 1) * (dp or 1))
    if pp is None and dp is None:
        pp, dp = (1, left) if _prefers_data(model) else (left, 1)
    elif pp is None:
        pp = left
    elif dp is None:
        dp = left
    assert dp is not None
    if pp > model.depth:
        raise RoofcalcError(f"pp {pp}: {model.name} has only {model.depth} layers; give --tp, --pp, --dp so that tp × pp × dp = {count}")
    return Layout(tp, pp, dp)


def _prefers_data(model: Model) -> bool:
    blocks = [model.blocks[name] for name in model.groups]
    return any(isinstance(b.mlp, Experts) or (b.attention is not None and b.attention.type == "mla") for b in blocks)


def stages(model: Model, layout: Layout, domain: int) -> list[Stage]:
    """The pipeline's stages, equal ones merged: consecutive layers, the first L mod p stages one more."""
    base, longer = divmod(model.depth, layout.pp)
    names, lefts = [name for name, _ in model.runs], [count for _, count in model.runs]
    merged: dict[Stage, int] = {}
    at = 0
    for number in range(layout.pp):
        wanted = base + (number < longer)
        groups: dict[str, int] = {}
        while wanted:
            taken = min(wanted, lefts[at])
            groups[names[at]] = groups.get(names[at], 0) + taken
            lefts[at] -= taken
            wanted -= taken
            at += lefts[at] == 0
        last = number == layout.pp - 1
        wire = "" if last else "scale_out" if _crosses(layout, number, domain) else "link"
        stage = Stage(tuple(sorted(groups.items())), number == 0, last, wire)
        merged[stage] = merged.get(stage, 0) + 1
    return [Stage(s.groups, s.first, s.last, s.sends, count) for s, count in merged.items()]


def _crosses(layout: Layout, number: int, domain: int) -> bool:
    """Whether any rank of stage `number` sits in another scale-up domain than its successor."""
    width = layout.tp * layout.dp
    ranks = range(number * width, (number + 1) * width)
    return width >= domain or any(rank // domain != (rank + width) // domain for rank in ranks)
