"""The intermediate form of an imported model: its layers and additional fields.

Converts identical layers to named blocks, and their order to the shortest run-length expression.
"""

from typing import Any, NamedTuple

Part = dict[str, Any]


class Layer(NamedTuple):
    """One layer.

    Attributes
    ----------
    mixer, network : str
        Names of the token mixer and the FFN, from which block names are made.
    mixing : dict
        Attention and state-space parts: either, both or none.
    mlp : dict, optional
        The FFN.
    norms, copies : int, optional
        As in `roofcalc.specs.model.Block`.
    """

    mixer: str
    mixing: dict[str, Part]
    network: str = ""
    mlp: Part | None = None
    norms: int | None = None
    copies: int | None = None

    @property
    def block(self) -> dict[str, Any]:
        """The block of a catalog file."""
        content: dict[str, Any] = dict(self.mixing)
        if self.mlp is not None:
            content["mlp"] = self.mlp
        if self.norms is not None:
            content["norms"] = self.norms
        if self.copies is not None:
            content["copies"] = self.copies
        return content


class Plan(NamedTuple):
    """A model without vocabulary, hidden size, context and dtype.

    Attributes
    ----------
    layers : list of Layer
        In order.
    fields : dict
        Additional fields of the model: norms, parallel, positions …
    predicts : Layer, optional
        The layer of each of `heads` multi-token-prediction (MTP) modules.
    remarks : tuple of str
        Sentences for the user about details that are not modelled.
    """

    layers: list[Layer]
    fields: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    predicts: Layer | None = None
    heads: int = 0
    remarks: tuple[str, ...] = ()


def blocks(plan: Plan) -> tuple[dict[str, Any], str, str | None]:
    """Named blocks, the layers expression, and the name of the block of the MTP layer."""
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
    layer_names = names[: len(plan.layers)]
    return named, expression(layer_names), names[-1] if len(names) > len(layer_names) else None


_LONGEST_PERIOD = 64

_Run = tuple[str, int]


def expression(names: list[str]) -> str:
    """Names in order -> `10*(5*local full) 2*local`, by repetitions of runs or of single layers, whichever is shorter."""
    runs: list[_Run] = []
    for name in names:
        count = runs.pop()[1] if runs and runs[-1][0] == name else 0
        runs.append((name, count + 1))
    return min(_written(runs), _written([(name, 1) for name in names]), key=len)


def _written(runs: list[_Run]) -> str:
    """Greedy: at each position the repetition that saves most."""
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
    """How often the `period` runs from `at` on repeat."""
    unit, times = runs[at : at + period], 1
    while len(unit) == period and runs[at + times * period : at + (times + 1) * period] == unit:
        times += 1
    return times
