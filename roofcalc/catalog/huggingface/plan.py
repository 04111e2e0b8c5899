"""What a family's function says of a model: the parts of each layer, and the fields beside the blocks.

Joins equal layers into named blocks, and writes their order as the shortest run-length expression.
"""

from typing import Any, NamedTuple

Part = dict[str, Any]


class Layer(NamedTuple):
    """One layer: its mixing parts (attention, state, both or none) and its feed-forward part, each with a name.

    `norms` overrides the count of norm vectors; `copies` says how many sets of weights all such layers share.
    """

    mixer: str
    mixing: dict[str, Part]
    network: str = ""
    mlp: Part | None = None
    norms: int | None = None
    copies: int | None = None

    @property
    def block(self) -> dict[str, Any]:
        """The block that a catalog file would give."""
        content: dict[str, Any] = dict(self.mixing)
        if self.mlp is not None:
            content["mlp"] = self.mlp
        if self.norms is not None:
            content["norms"] = self.norms
        if self.copies is not None:
            content["copies"] = self.copies
        return content


class Plan(NamedTuple):
    """A model without its outer sizes.

    Attributes
    ----------
    layers : list of Layer
        In order.
    fields : dict
        Further fields of the model: norms, parallel, positions …
    predicts : Layer, optional
        The layer of each of `heads` multi-token-prediction modules.
    remarks : tuple of str
        What the reader should know, a sentence each.
    """

    layers: list[Layer]
    fields: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    predicts: Layer | None = None
    heads: int = 0
    remarks: tuple[str, ...] = ()


def blocks(plan: Plan) -> tuple[dict[str, Any], str, str | None]:
    """Named blocks, the layers expression, and the name of the prediction layer's block."""
    every = [*plan.layers, *([plan.predicts] if plan.predicts and plan.heads else [])]
    mixers, networks = ({layer.mixer for layer in plan.layers}, {layer.network for layer in plan.layers})
    named: dict[str, Any] = {}
    names = []
    for layer in every:
        parts = (layer.mixer if len(mixers) > 1 else "", layer.network if len(networks) > 1 else "")
        name = "_".join(part for part in parts if part) or ("block" if layer.block else "nothing")
        free = name
        while named.get(free, layer.block) != layer.block:
            free = f"{name}{int(free.removeprefix(name) or 1) + 1}"
        named[free] = layer.block
        names.append(free)
    own = names[: len(plan.layers)]
    return named, expression(own), names[-1] if len(names) > len(own) else None


_LONGEST_PERIOD = 64

_Run = tuple[str, int]


def expression(names: list[str]) -> str:
    """Names in order -> `10*(5*local full) 2*local`: by repetitions of runs or of single layers, whichever is shorter."""
    runs: list[_Run] = []
    for name in names:
        count = runs.pop()[1] if runs and runs[-1][0] == name else 0
        runs.append((name, count + 1))
    return min(_written(runs), _written([(name, 1) for name in names]), key=len)


def _written(runs: list[_Run]) -> str:
    """At each place the repetition that saves most."""
    words, at = [], 0
    while at < len(runs):
        period, times = max(((p, _repeats(runs, at, p)) for p in range(1, _LONGEST_PERIOD + 1)), key=lambda pair: pair[0] * (pair[1] - 1))
        unit = runs[at : at + period] if times > 1 else runs[at : at + 1]
        name, count = unit[0]
        word = name if len(unit) == 1 else f"({_written(unit)})"
        times_all = times * count if len(unit) == 1 else times
        words.append(f"{times_all}*{word}" if times_all > 1 else word)
        at += len(unit) * times
    return " ".join(words)


def _repeats(runs: list[_Run], at: int, period: int) -> int:
    """How often the `period` runs from `at` on stand one after another."""
    unit, times = runs[at : at + period], 1
    while len(unit) == period and runs[at + times * period : at + (times + 1) * period] == unit:
        times += 1
    return times
