"""A question under way: its lists crossed into deployments, its numbers checked, its rows and notes kept."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from roofcalc import catalog, units
from roofcalc.architecture.model import Model
from roofcalc.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.assumptions import assumptions
from roofcalc.catalog import Change
from roofcalc.deployment import NATIVE, Deployment, deploy, notes
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.hardware import Hardware
from roofcalc.report import columns
from roofcalc.report.table import Block, Column, Table

DEFAULT_SEQ = "1k:128k:x2"
MAX_TOKENS = 10**9

Names = str | Sequence[str]
Numbers = str | float | Sequence[float] | ArrayLike


class Options(TypedDict, total=False):
    """What every question takes; each is optional.

    Attributes
    ----------
    weights, kv : str or list of str
        Dtypes of weights (default "native", the checkpoint's own) and of the KV cache (default: the checkpoint's
        16-bit type).
    compute, comm_dtype : str
        Format of linear operations (default: what the weights ask for); dtype of all-reduces (default: 16-bit).
    tp, pp, dp : int or list of int
        Tensor, pipeline and data parallel degrees; what is left out is filled in.
    assume : "roofline" or "bound"
        The preset that the following override one by one.
    overlap, network, capacity, kv_policy : str
        See `roofcalc.assumptions.Assumptions`, also for the next two lines.
    mbu, mfu, link, util : float
    reserve_gb : float; kv_block : int
    changes : str or list of str
        Overrides such as "hardware.memory.bandwidth_gb_s=4000"; a range sweeps.
    """

    weights: Names
    kv: Names | None
    compute: str | None
    comm_dtype: str | None
    tp: Numbers | None
    pp: Numbers | None
    dp: Numbers | None
    assume: str
    overlap: str | None
    network: str | None
    mbu: float | None
    mfu: float | None
    link: float | None
    util: float | None
    reserve_gb: float | None
    capacity: str | None
    kv_policy: str | None
    kv_block: int | None
    changes: Names


class Request:
    """One question under way: crosses its lists, keeps notes and rows."""

    def __init__(self, command: str, results: tuple[Column, ...], model: Any, hardware: Any, options: Options) -> None:
        for name in options:
            if name not in Options.__annotations__:
                raise RoofcalcError(f"unknown option {name!r}{did_you_mean(name, tuple(Options.__annotations__))}")
        self.models, self.machines = _names(model, "model"), _names(hardware, "hardware")
        self.options = options
        optional = [columns.COMM] if options.get("comm_dtype") else []
        optional += [columns.CHANGES] if options.get("changes") else []
        self.sweeps = _sweeps(options.get("changes", ()))
        self.table = Table(command, (*columns.CASE, *results, *columns.ASSUMED, *optional))
        self.table.catalog = {"models": {}, "hardware": {}}
        self.assumptions = assumptions(
            options.get("assume", "roofline"), **{name: options.get(name) for name in ASSUMPTION_NAMES if name != "assume"}
        )

    def note(self, text: str) -> None:
        if text not in self.table.notes:
            self.table.notes.append(text)

    def deployments(self) -> Iterator[tuple[Deployment, tuple[Change, ...]]]:
        """Every combination, in the order in which the lists were given."""
        weights = _words(self.options.get("weights", NATIVE), "weights")
        kv_given = self.options.get("kv")
        caches: list[str | None] = [None] if kv_given is None else [*_words(kv_given, "kv")]
        tps, pps, dps = (_degrees(self.options.get(name), name) for name in ("tp", "pp", "dp"))
        for model_name, machine_name in product(self.models, self.machines):
            for wanted, kv, (tp, pp, dp), changes in product(weights, caches, list(product(tps, pps, dps)), self.sweeps):
                model, machine = self._model(model_name, changes), self._machine(machine_name, changes)
                deployment = deploy(
                    model,
                    machine,
                    weights=wanted,
                    kv=kv,
                    compute=self.options.get("compute"),
                    comm=self.options.get("comm_dtype"),
                    tp=tp,
                    pp=pp,
                    dp=dp,
                    assumptions=self.assumptions,
                )
                for text in notes(deployment):
                    self.note(text)
                yield deployment, changes

    def _model(self, name: str | Model, changes: tuple[Change, ...]) -> Model:
        if isinstance(name, Model):
            _refuse_changes(changes, "models")
            return name
        model, found = catalog.model(name, changes)
        for text in found:
            self.note(text)
        self.table.catalog["models"][model.name] = list(model.sources)
        return model

    def _machine(self, name: str | Hardware, changes: tuple[Change, ...]) -> Hardware:
        if isinstance(name, Hardware):
            _refuse_changes(changes, "hardware")
            return name
        machine, found = catalog.hardware(name, changes)
        for text in found:
            self.note(text)
        sources = (*(machine.system.sources if machine.system else ()), *machine.device.sources)
        self.table.catalog["hardware"][machine.name] = list(dict.fromkeys(sources))
        return machine

    def contexts(self, deployment: Deployment, seq: Numbers | None) -> NDArray[Any]:
        """The contexts asked for, or the default ones up to the model's own; a note where they go beyond it."""
        own = deployment.model.context
        if seq is None:
            some = np.array([n for n in units.numbers(DEFAULT_SEQ) if n <= own])
            return some if some.size else np.array([float(own)])
        asked = whole(seq, "seq", MAX_TOKENS)
        if (asked > own).any():
            self.note(f"{deployment.model.name}: contexts beyond the model's {own} tokens are computed all the same")
        return asked

    def add(self, deployment: Deployment, changes: tuple[Change, ...], **values: Any) -> None:
        """Adds a block of rows, with what they assumed."""
        assumed = {name: getattr(deployment.assumptions, name) for name in ASSUMPTION_NAMES}
        layout = {name: getattr(deployment.layout, name) for name in ("tp", "pp", "dp", "ep", "dcp")}
        case = {
            "model": deployment.model.name,
            "hardware": deployment.hardware.name,
            "weights": deployment.weights_label,
            "kv": deployment.kv.name,
            "compute": deployment.compute_label,
            "comm_dtype": deployment.comm.name if deployment.comm else None,
            "changes": "; ".join(map(str, changes)),
        }
        self.table.blocks.append(Block(int(values["seq"].size), {**case, **values, **assumed, **layout}))


def _refuse_changes(changes: tuple[Change, ...], target: str) -> None:
    for change in changes:
        if change.target == target:
            raise RoofcalcError(f"--set {change}: only entries that are named can be changed, not records")


def _names(given: Any, what: str) -> list[Any]:
    """One name, a comma list or a list -> a list without blanks around."""
    items = [part.strip() for part in given.split(",")] if isinstance(given, str) else list(given) if isinstance(given, (list, tuple)) else [given]
    if not items or any(isinstance(item, str) and not item for item in items):
        raise RoofcalcError(f"{what}: an empty name in {given!r}")
    return items


def _words(given: Any, what: str) -> list[str]:
    words = _names(given, what)
    if not all(isinstance(word, str) for word in words):
        raise RoofcalcError(f"{what}: expected names, got {given!r}")
    return words


def _sweeps(given: Names) -> list[tuple[Change, ...]]:
    """Every combination of the overrides' values."""
    each = [_changes(text) for text in ([given] if isinstance(given, str) else given)]
    return list(product(*each)) if each else [()]


def _changes(text: str) -> list[Change]:
    path, equals, value = text.partition("=")
    target, *rest = path.strip().split(".")
    kind = {"model": "models", "hardware": "hardware"}.get(target)
    if not equals or kind is None or not rest or not all(rest):
        raise RoofcalcError(f"--set {text}: write it as hardware.memory.bandwidth_gb_s=4000 or model.blocks.block.attention.kv_heads=4")
    return [Change(kind, tuple(rest), one) for one in _figures(value.strip(), path)]  # type: ignore[arg-type]


def _figures(text: str, what: str) -> list[Any]:
    if text in ("true", "false"):
        return [text == "true"]
    if text and (text[0].isdigit() or text[0] in "+-."):
        try:
            return [int(value) if float(value).is_integer() else value for value in units.numbers(text, f"--set {what}")]
        except RoofcalcError:
            if any(mark in text for mark in ":,") or (" " not in text and not any(c.isalpha() or c == "*" for c in text)):
                raise
    return [text]


def positive(given: Any, what: str, low: float, high: float) -> NDArray[Any]:
    """Numbers in low … high, from text such as `30,50` or an array.

    Raises
    ------
    RoofcalcError
        Anything else.
    """
    values = units.numbers(given, what) if isinstance(given, str) else given
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float)).ravel()
    except (TypeError, ValueError):
        raise RoofcalcError(f"{what}: expected numbers, got {given!r}") from None
    wrong = array[~((array >= low) & (array <= high))]
    if wrong.size or not array.size:
        got = units.plain(wrong[0]) if wrong.size and np.isfinite(wrong[0]) else "nothing usable"
        raise RoofcalcError(f"{what}: expected {units.plain(low)} to {units.plain(high)}, got {got}")
    return array


def whole(given: Any, what: str, high: int) -> NDArray[Any]:
    """Whole numbers in 1 … high."""
    array = positive(given, what, 1, high)
    broken = array[array != np.round(array)]
    if broken.size:
        raise RoofcalcError(f"{what}: expected a whole number, got {units.plain(broken[0])}")
    return array


def _degrees(given: Any, what: str) -> list[int | None]:
    return [None] if given is None else [int(value) for value in whole(given, what, 10**6)]
