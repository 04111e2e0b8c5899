"""Parallelism: tensor, pipeline, data, expert and decode context degrees, and the stages of a pipeline.

Ranks are laid out tensor innermost, then data, then pipeline.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Hardware
from roofcalc.specs.feedforward import Experts
from roofcalc.specs.layer_pattern import Runs
from roofcalc.specs.model import Model
from roofcalc.specs.record import Record


class Layout(Record):
    """Degrees of parallelism; tensor × pipeline × data = devices.

    Each expert is split over all tensor and data ranks of a stage (ep 1), or whole experts are distributed over them (ep = tp·dp).
    Decode context parallel ranks are tensor ranks over which replicated KV entries are sharded.
    """

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    dcp: int = 1

    @property
    def devices(self) -> int:
        return self.tp * self.pp * self.dp


class Stage(Record):
    """A pipeline stage, and the number of identical stages.

    Attributes
    ----------
    groups : tuple of (block name, layers)
    first, last : bool
        Holds the embedding; holds the head.
    sends : "", "link" or "scale_out"
        The link over which it sends its output to the next stage; "" for the last stage.
    count : int
        Identical stages.
    """

    groups: tuple[tuple[str, int], ...]
    first: bool
    last: bool
    sends: str
    count: int = 1


def head_counts(model: Model) -> tuple[int, ...]:
    """The distinct numbers of query heads in the layers of the model, ascending."""
    found = {model.blocks[name].attention for name in model.groups}
    return tuple(sorted({attention.heads for attention in found if attention is not None}))


def expert_counts(model: Model) -> tuple[int, ...]:
    """The distinct numbers of computing experts in the layers of the model, ascending."""
    parts = (model.blocks[name].mlp for name in model.groups)
    return tuple(sorted({part.experts for part in parts if isinstance(part, Experts)}))


def copies_of_entries(model: Model, tp: int) -> int:
    """How many of `tp` tensor ranks hold each cache entry: all of them for latents, t/n_kv for heads; the fewest among the layers."""
    attentions = (model.blocks[name].attention for name in model.groups)
    return min((attention.kv_copies(tp) for attention in attentions if attention is not None), default=1)


def legal_tp(model: Model, devices: int) -> list[int]:
    """Tensor parallel degrees that divide both the devices and the query heads."""
    common = math.gcd(devices, *head_counts(model))
    return [t for t in range(1, common + 1) if common % t == 0]


def legal_ep(model: Model, tp: int, dp: int) -> list[int]:
    """Expert parallel degrees: 1, or all tensor and data ranks of a stage if there are enough experts."""
    experts = expert_counts(model)
    return [1, tp * dp] if experts and 1 < tp * dp <= min(experts) else [1]


def legal_dcp(model: Model, tp: int) -> list[int]:
    """Decode context parallel degrees: common divisors of tp and of the copies of each KV entry."""
    copies = copies_of_entries(model, tp)
    return [c for c in range(1, copies + 1) if copies % c == 0 and tp % c == 0]


def choose(
    model: Model,
    hardware: Hardware,
    tp: int | None = None,
    pp: int | None = None,
    dp: int | None = None,
    ep: int | None = None,
    dcp: int | None = None,
) -> Layout:
    """The layout with the given degrees; the others are the defaults.

    The default layout: tp is the largest power of two within the domain that divides the devices and the heads; the remaining devices go to
    dp for models with experts or a latent cache, else to pp, and to dp where there would be more stages than layers. Whole experts
    are distributed over all ranks of a stage if there are enough of them.

    Raises
    ------
    RoofcalcError
        The product of the degrees is not the number of devices, tp does not divide the heads, pp exceeds the layers, or ep or dcp
        is not possible; names the nearest possible values.
    """
    tp, pp, dp = _degrees(model, hardware, tp, pp, dp)
    if pp > model.depth:
        raise RoofcalcError(f"--pp: {model.name} has only {model.depth} layers, not {pp}; choose tp × pp × dp = {hardware.count}")
    experts = legal_ep(model, tp, dp)
    if ep is not None and ep not in experts:
        raise RoofcalcError(f"--ep: {ep} is not possible for {model.name} with tp {tp}, dp {dp}: {_experts_reason(model, tp, dp, experts)}")
    contexts = legal_dcp(model, tp)
    if dcp is not None and dcp not in contexts:
        held = "each KV entry is stored once" if contexts == [1] else f"each KV entry is stored {copies_of_entries(model, tp)} times"
        raise RoofcalcError(f"--dcp: {dcp} is not possible for {model.name} with tp {tp}, where {held}; possible: {_listed(contexts)}")
    return Layout(tp, pp, dp, experts[-1] if ep is None else ep, dcp or 1)


def _degrees(model: Model, hardware: Hardware, tp: int | None, pp: int | None, dp: int | None) -> tuple[int, int, int]:
    count, heads = hardware.count, head_counts(model)
    fixed = (tp or 1) * (pp or 1) * (dp or 1)
    if count % fixed or (tp and pp and dp and fixed != count):
        asked = " × ".join(f"{name} {value}" for name, value in (("tp", tp), ("pp", pp), ("dp", dp)) if value)
        raise RoofcalcError(
            f"{asked} does not match the {count} devices of {hardware.name}: tp × pp × dp must be {count}{_nearest(model, count, tp, pp, dp)}"
        )
    if tp is None:
        rest = count // fixed
        fits = [2**n for n in range(20) if 2**n <= hardware.domain and rest % 2**n == 0 and not any(h % 2**n for h in heads)]
        tp = rest if pp and dp else max(fits)
    if any(h % tp for h in heads):
        raise RoofcalcError(
            f"--tp: {tp} does not divide the {' and '.join(map(str, heads))} query heads of {model.name}; "
            f"possible on {hardware.name}: {_listed(legal_tp(model, count))}"
        )
    left = count // (tp * (pp or 1) * (dp or 1))
    if pp is None and dp is None:
        if prefers_data(model):
            return tp, 1, left
        stages = max(stages for stages in range(1, min(left, model.depth) + 1) if left % stages == 0)
        return tp, stages, left // stages
    return tp, left if pp is None else pp, left if dp is None else dp


def _nearest(model: Model, count: int, tp: int | None, pp: int | None, dp: int | None) -> str:
    """The possible layouts nearest to the requested degrees, as flags."""
    asked = [(value, place) for place, value in enumerate((tp, pp, dp)) if value]
    possible = [(t, p, count // t // p) for t in legal_tp(model, count) for p in range(1, min(count // t, model.depth) + 1) if count // t % p == 0]
    possible.sort(key=lambda one: (sum(abs(math.log(one[place] / value)) for value, place in asked), one[1], one[2]))
    return ", for instance " + " or ".join(f"--tp {t} --pp {p} --dp {d}" for t, p, d in possible[:2]) if possible else ""


def _experts_reason(model: Model, tp: int, dp: int, legal: list[int]) -> str:
    experts = expert_counts(model)
    if not experts:
        return "it has no experts; possible: 1"
    if legal == [1] and tp * dp > 1:
        return f"{experts[0]} experts are too few for {tp * dp} ranks; possible: 1"
    return f"each expert is split over all ranks (1), or whole experts are distributed over them (tp × dp); possible: {_listed(legal)}"


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def prefers_data(model: Model) -> bool:
    """Whether devices beyond the tensor group become data ranks by default: for models with experts or a latent cache."""
    blocks = [model.blocks[name] for name in model.groups]
    return any(isinstance(b.mlp, Experts) or (b.attention is not None and not b.attention.tp_divides_cache) for b in blocks)


def stages(model: Model, layout: Layout, domain: int) -> list[Stage]:
    """The stages of the pipeline, identical ones merged: consecutive layers, one more in each of the first L mod p stages."""
    return list(_merged(model.runs, layout.pp, layout.tp * layout.dp, domain))


@lru_cache(maxsize=4096)
def _merged(runs: Runs, depth: int, width: int, domain: int) -> tuple[Stage, ...]:
    merged: dict[Stage, int] = {}
    for stage in _each(runs, depth, width, domain):
        merged[stage] = merged.get(stage, 0) + 1
    return tuple(Stage(s.groups, s.first, s.last, s.sends, count) for s, count in merged.items())


def each_stage(model: Model, layout: Layout, domain: int) -> Iterator[Stage]:
    """Every stage in order, identical ones not merged."""
    return _each(model.runs, layout.pp, layout.tp * layout.dp, domain)


def _each(runs: Runs, depth: int, width: int, domain: int) -> Iterator[Stage]:
    """The stages of a pipeline of `depth` stages of `width` devices each."""
    names, lefts = [name for name, _ in runs], [count for _, count in runs]
    base, longer = divmod(sum(lefts), depth)
    at = 0
    for number in range(depth):
        wanted = base + (number < longer)
        groups: dict[str, int] = {}
        while wanted:
            taken = min(wanted, lefts[at])
            groups[names[at]] = groups.get(names[at], 0) + taken
            lefts[at] -= taken
            wanted -= taken
            at += lefts[at] == 0
        last = number == depth - 1
        wire = "" if last else "scale_out" if _crosses(width, number, domain) else "link"
        yield Stage(tuple(sorted(groups.items())), number == 0, last, wire)


def _crosses(width: int, number: int, domain: int) -> bool:
    """Whether any rank of stage `number` is in another scale-up domain than its peer in the next stage."""
    ranks = range(number * width, (number + 1) * width)
    return width >= domain or any(rank // domain != (rank + width) // domain for rank in ranks)
