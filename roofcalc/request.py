"""A question under way: its lists crossed into deployments, its numbers checked, its rows and notes kept."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import numpy as np

from roofcalc import catalog, units
from roofcalc.architecture.model import Model
from roofcalc.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.assumptions import assumptions
from roofcalc.catalog import Change
from roofcalc.deployment import NATIVE, Deployment, cache_dtype, deploy, notes
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.hardware import Hardware
from roofcalc.operations.base import Place
from roofcalc.parallel import checked
from roofcalc.precision import Dtype
from roofcalc.report import columns
from roofcalc.report.table import STRETCH, Block, Column, Promise, Table

if TYPE_CHECKING:  # a tenth of the start would go into it
    from concurrent.futures import Executor

    from numpy.typing import ArrayLike, NDArray

DEFAULT_SEQ = "1k:128k:x2"
DEGREES = ("tp", "pp", "dp", "ep", "dcp")
MAX_TOKENS = 10**9
MAX_ROWS = 10_000_000
MAX_KEPT = 50_000  # rows that are computed before anyone reads them
MAX_SWEEPS = 100_000

Names = str | Sequence[str]
Numbers: TypeAlias = "str | float | Sequence[float] | ArrayLike"


class Options(TypedDict, total=False):
    """What every question takes; each is optional.

    Attributes
    ----------
    weights, kv : str or list of str
        Dtypes of weights (default "native", the checkpoint's own) and of the KV cache (default: the checkpoint's
        16-bit type).
    compute : str
        Format of linear operations (default: what the weights ask for).
    comm_dtype, dispatch_dtype, combine_dtype : str
        Dtypes on the wire: of all-reduces (default: 16-bit), of tokens to experts (fp8 where these compute in fp8 or
        narrower, else 16-bit) and back (16-bit).
    tp, pp, dp, ep, dcp : int or list of int
        Tensor, pipeline, data, expert and decode context parallel degrees; what is left out is filled in.
    assume : "roofline", "bound" or "typical"
        The preset that the following override one by one.
    engine : str
        In `typical`: an engine with measurements of its own.
    overlap, network, capacity, kv_policy : str
        See `roofcalc.assumptions.Assumptions`, also for the next two lines.
    mbu, mfu, link, util : float
    reserve_gb : float; kv_block, redundant_experts : int; imbalance : float; activations : bool
    layer_overhead_us, step_overhead_us : float
    draft, acceptance, draft_model, mtp
        Speculation: tokens drafted per step, the rate at which each is accepted (never assumed), and a smaller model, or the
        model's own multi-token-prediction layer, that drafts; without either, drafts cost nothing.
    changes : str or list of str
        Overrides such as "hardware.memory.bandwidth_gb_s=4000"; a range sweeps.
    executor : concurrent.futures.Executor
        What computes the rows: a pool of processes or threads, or any other (`roofcalc.parallel`); default: this process.
    """

    weights: Names
    kv: Names | None
    compute: str | None
    comm_dtype: str | None
    dispatch_dtype: str | None
    combine_dtype: str | None
    tp: Numbers | None
    pp: Numbers | None
    dp: Numbers | None
    ep: Numbers | None
    dcp: Numbers | None
    assume: str
    engine: str | None
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
    imbalance: float | None
    redundant_experts: int | None
    activations: bool | None
    layer_overhead_us: float | None
    step_overhead_us: float | None
    draft: int | None
    acceptance: float | None
    draft_model: str | Model | None
    mtp: bool | None
    changes: Names
    executor: Executor | None


class Request:
    """One question under way: crosses its lists, keeps notes and rows.

    `given` names the assumptions of `columns.WHERE_GIVEN` that this question was given besides its options; `more` are
    results that stand behind all else.
    """

    def __init__(
        self,
        command: str,
        results: tuple[Column, ...],
        model: Any,
        hardware: Any,
        options: Options,
        given: tuple[str, ...] = (),
        more: tuple[Column, ...] = (),
    ) -> None:
        for name in options:
            if name not in Options.__annotations__:
                raise RoofcalcError(f"unknown option {name!r}{did_you_mean(name, tuple(Options.__annotations__))}")
        self.models, self.machines = _names(model, "model"), [] if hardware is None else _names(hardware, "hardware")
        self.options = options
        asked = {*given, *(name for name in options if options.get(name))}
        asked |= {name for name in ("layer_overhead_us", "step_overhead_us") if options.get(name) is not None}
        asked |= {"draft", "acceptance"} if asked & {"draft", "acceptance", "draft_model", "mtp"} else set()
        optional = [column for column in columns.WHERE_GIVEN if column.name in asked]
        self.sweeps = _sweeps(options.get("changes") or ())
        shown = {column.name for column in results}
        assumed = [column for column in columns.ASSUMED if column.name not in shown]
        self.table = Table(command, (*columns.CASE, *results, *assumed, *optional, *more))
        self.table.catalog = {"models": {}, "hardware": {}}
        self.table.executor, self.table.shortens = checked(options.get("executor")), True
        chosen: dict[str, Any] = {name: options.get(name) for name in ASSUMPTION_NAMES if name != "assume"}
        for name in ("kv_block", "redundant_experts"):
            if isinstance(chosen[name], str):
                number = units.number(chosen[name], name)
                chosen[name] = int(number) if number.is_integer() else number
        self.assumptions = assumptions(options.get("assume") or "roofline", **chosen)

    def note(self, text: str) -> None:
        if text not in self.table.notes:
            self.table.notes.append(text)

    def deployments(self) -> Iterator[tuple[Deployment, tuple[Change, ...]]]:
        """Every combination, in the order in which the lists were given."""
        degrees = list(product(*(_degrees(self.options.get(name), name) for name in DEGREES)))
        for model_name, machine_name in product(self.models, self.machines):
            for (weights, kv), layout, changes in product(self.precisions(), degrees, self.sweeps):
                model, machine = self._model(model_name, changes), self._machine(machine_name, changes)
                yield self.deployed(model, machine, weights, kv, **dict(zip(DEGREES, layout, strict=True))), changes

    def searches(self) -> Iterator[tuple[Model, Hardware, tuple[Change, ...]]]:
        """Every model, machine and change, for questions that look for the layout themselves, among precisions too."""
        for model_name, machine_name, changes in product(self.models, self.machines, self.sweeps):
            yield self._model(model_name, changes), self._machine(machine_name, changes), changes

    def precisions(self) -> list[tuple[str, str]]:
        """Dtypes of weights and of the cache, every combination."""
        return list(product(_words(self.options.get("weights"), "weights"), _words(self.options.get("kv"), "kv")))

    def degrees(self) -> dict[str, set[int]]:
        """The degrees that a search is held to, by name."""
        return {name: {int(one) for one in _degrees(self.options[name], name) if one} for name in DEGREES if self.options.get(name) is not None}  # type: ignore[literal-required]

    def deployed(self, model: Model, machine: Hardware, weights: str, kv: str, **layout: int | None) -> Deployment:
        """One deployment, its drafts included; what had to give is noted."""
        deployment = deploy(
            model,
            machine,
            weights=weights,
            kv=None if kv == NATIVE else kv,
            compute=_word(self.options.get("compute"), "compute"),
            comm=_word(self.options.get("comm_dtype"), "comm_dtype"),
            dispatch=_word(self.options.get("dispatch_dtype"), "dispatch_dtype"),
            combine=_word(self.options.get("combine_dtype"), "combine_dtype"),
            assumptions=self.assumptions,
            **layout,
        )
        deployment = self._drafted(deployment)
        for text in notes(deployment):
            self.note(text)
        return deployment

    def _drafted(self, deployment: Deployment) -> Deployment:
        drafts, acceptance = self.options.get("draft"), self.options.get("acceptance")
        named, own_layer = self.options.get("draft_model"), bool(self.options.get("mtp"))
        if drafts is None and acceptance is None and named is None and not own_layer:
            return deployment
        from roofcalc.speculation import with_drafts

        drafter = self._model(named, ()) if named is not None else None
        tokens = None if drafts is None else int(one_whole(drafts, "draft", 1000))
        found = with_drafts(deployment, tokens, acceptance, drafter, own_layer)
        if found.draft and found.draft.deployment is None:
            self.note(f"drafts cost nothing here ({found.draft.tokens} per step, looked up); --draft-model or --mtp lets one draft")
        return found

    def models_alone(self) -> Iterator[tuple[Model, str | None, tuple[Change, ...]]]:
        """Every model, KV dtype and change, for questions that need no machine."""
        caches = _words(self.options.get("kv"), "kv")
        for name, kv, changes in product(self.models, caches, self.sweeps):
            yield self._model(name, changes), None if kv == NATIVE else kv, changes

    def cache_dtype(self, model: Model, kv: str | None) -> Dtype:
        """The dtype of a model's cache: the one asked for, or the checkpoint's."""
        return cache_dtype(model, kv)

    def whole_place(self, model: Model, kv: str | None) -> Place:
        """A model on one place that holds all of it."""
        dtype = cache_dtype(model, kv)
        reserved = self.assumptions.kv_policy == "reserved"
        return Place(kv_bytes=dtype.bytes_per_element, kv_scales=dtype.is_fp8, reserved=reserved)

    def add_alone(self, model: Model, changes: tuple[Change, ...], **values: Any) -> None:
        """Adds a block of rows of a question without a machine: only what moved it is said to be assumed."""
        case = {"model": model.name, "kv_policy": self.assumptions.kv_policy, "changes": "; ".join(map(str, changes))}
        self.table.blocks.append(Block(int(values["seq"].size), {**case, **values}))

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

    def contexts(self, model: Model, seq: Numbers | None) -> NDArray[Any]:
        """The contexts asked for, or the default ones up to the model's own; a note where they go beyond it."""
        own = model.context
        if seq is None:
            some = np.array([n for n in units.numbers(DEFAULT_SEQ) if n <= own])
            return some if some.size else np.array([float(own)])
        asked = whole(seq, "seq", MAX_TOKENS)
        self.beyond(model, asked)
        return asked

    def beyond(self, model: Model, seq: NDArray[Any]) -> None:
        """A note where contexts go beyond the model's own."""
        if (seq > model.context).any():
            self.note(f"{model.name}: contexts beyond the model's {model.context} tokens are computed all the same")

    def grid(self, *axes: NDArray[Any]) -> list[NDArray[Any]]:
        """Every combination of the axes' values, the first axis slowest."""
        rows = math.prod(axis.size for axis in axes)
        if rows > MAX_ROWS:
            raise RoofcalcError(f"{rows:,} rows of one model on one machine; at most {MAX_ROWS:,} are computed at once")
        return [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]

    def add(self, deployment: Deployment, changes: tuple[Change, ...], **values: Any) -> None:
        """Adds a block of rows, with what they assumed."""
        self.table.blocks.append(Block(int(values["seq"].size), {**self.case(deployment, changes), **values}))

    def fill(
        self, deployment: Deployment, changes: tuple[Change, ...], axes: Sequence[NDArray[Any]], rows: Callable[..., dict[str, Any]], **shared: Any
    ) -> None:
        """Adds a row for every combination of the axes' values, the first axis slowest, computed in stretches where they are read.

        `rows` takes a stretch of each axis, in one shape, and gives their columns; `shared` are columns that are alike in all.
        It is a function of a module, or `partial` of one: it may travel to another process.
        """
        alike = {**self.case(deployment, changes), **shared}
        size = math.prod(axis.size for axis in axes)
        self.table.blocks.append(Promise(size, alike, partial(_stretch, tuple(axes), alike, rows)))

    def answer(self) -> Table:
        """The table, with its rows unless they are too many to keep before anyone reads them."""
        if len(self.table) <= MAX_KEPT:
            self.table.settle()
        return self.table

    def case(self, deployment: Deployment, changes: tuple[Change, ...]) -> dict[str, Any]:
        """What all rows of a deployment share: what it is, and what it assumes."""
        assumed = {name: getattr(deployment.assumptions, name) for name in ASSUMPTION_NAMES}
        layout = {name: getattr(deployment.layout, name) for name in DEGREES}
        wires = {"comm_dtype": deployment.comm, "dispatch_dtype": deployment.dispatch, "combine_dtype": deployment.combine}
        case: dict[str, Any] = {
            "model": deployment.model.name,
            "hardware": deployment.hardware.name,
            "weights": deployment.weights_label,
            "kv": deployment.kv.name,
            "compute": deployment.compute_label,
            **{name: wire.name for name, wire in wires.items() if wire},
            "changes": "; ".join(map(str, changes)),
        }
        if deployment.draft:
            drafter = deployment.draft.deployment
            case |= {"draft": deployment.draft.tokens, "acceptance": deployment.draft.acceptance, "mtp": bool(self.options.get("mtp"))}
            case |= {"draft_model": drafter.model.name if drafter and not case["mtp"] else None}
        return {**case, **assumed, **layout}


def stretches(axes: Sequence[NDArray[Any]]) -> Iterator[list[NDArray[Any]]]:
    """Every combination of the axes' values, the first axis slowest, so many at a time as are computed together."""
    size = math.prod(axis.size for axis in axes)
    return (_points(axes, first, min(first + STRETCH, size)) for first in range(0, size, STRETCH))


def _points(axes: Sequence[NDArray[Any]], first: int, last: int) -> list[NDArray[Any]]:
    places = np.unravel_index(np.arange(first, last), [axis.size for axis in axes])
    return [axis[place] for axis, place in zip(axes, places, strict=True)]


def _stretch(axes: Sequence[NDArray[Any]], shared: dict[str, Any], rows: Callable[..., dict[str, Any]], first: int, last: int) -> Block:
    """Rows of a grid from `first` to before `last`."""
    return Block(last - first, {**shared, **rows(*_points(axes, first, last))})


def _refuse_changes(changes: tuple[Change, ...], target: str) -> None:
    for change in changes:
        if change.target == target:
            raise RoofcalcError(f"--set {change}: only entries that are named can be changed, not records")


def _names(given: Any, what: str) -> list[Any]:
    """One name, a comma list, a list, a path or a record -> a list without blanks around."""
    if isinstance(given, str) and not os.path.isfile(given):
        items: list[Any] = [part.strip() for part in given.split(",")]
    elif isinstance(given, (list, tuple, np.ndarray)):
        items = [str(item) if isinstance(item, (str, os.PathLike)) else item for item in given]
    else:
        items = [str(given) if isinstance(given, (str, os.PathLike)) else given]
    if not items or any(isinstance(item, str) and not item for item in items):
        raise RoofcalcError(f"{what}: an empty name in {given!r}")
    kind = {"model": Model, "hardware": Hardware}.get(what, str)
    if not all(isinstance(item, (str, kind)) for item in items):
        raise RoofcalcError(f"{what}: expected names, got {given!r}")
    return items


def _words(given: Any, what: str) -> list[str]:
    return [NATIVE] if given is None else _names(given, what)


def _word(given: Any, what: str) -> str | None:
    if given is not None and not isinstance(given, str):
        raise RoofcalcError(f"{what}: expected a name, got {given!r}")
    return given


def _sweeps(given: Names) -> list[tuple[Change, ...]]:
    """Every combination of the overrides' values."""
    if not isinstance(given, (str, list, tuple)) or not all(isinstance(text, str) for text in given):
        raise RoofcalcError(f"changes: expected text such as model.vocab=32000, got {given!r}")
    each = [_change(text) for text in ([given] if isinstance(given, str) else given)]
    combinations = math.prod(len(figures) for _, _, figures in each)
    if combinations > MAX_SWEEPS:
        raise RoofcalcError(f"--set: {combinations:,} combinations; at most {MAX_SWEEPS:,} are computed at once")
    return list(product(*([Change(kind, path, one) for one in figures] for kind, path, figures in each)))


def _change(text: str) -> tuple[catalog.Kind, tuple[str, ...], list[Any]]:
    """What an override changes, where in it, and the values that it takes."""
    path, equals, value = text.partition("=")
    target, *rest = path.strip().split(".")
    kinds: dict[str, catalog.Kind] = {"model": "models", "hardware": "hardware"}
    kind = kinds.get(target)
    if not equals or kind is None or not rest or not all(rest):
        raise RoofcalcError(f"--set {text}: write it as hardware.memory.bandwidth_gb_s=4000 or model.blocks.block.attention.kv_heads=4")
    return kind, tuple(rest), _figures(value.strip(), path)


def _figures(text: str, what: str) -> list[Any]:
    """The values that an override takes: numbers and ranges, true or false, else the text itself."""
    if text in ("true", "false"):
        return [text == "true"]
    try:
        return [int(value) if float(value).is_integer() else value for value in units.numbers(text, f"--set {what}")]
    except RoofcalcError:
        if re.fullmatch(r"[-+.0-9][-+.:,0-9a-z]*", text, re.IGNORECASE) and not re.search(r"[a-z]{3}", text, re.IGNORECASE):
            raise  # meant as a number or a range, and is none
    return [text]


def positive(given: Any, what: str, low: float, high: float) -> NDArray[Any]:
    """Numbers in low … high, from text such as `30,50` or an array.

    Raises
    ------
    RoofcalcError
        Anything else.
    """
    values = given
    if isinstance(given, str):
        values = units.numbers(given, what)
    elif isinstance(given, (list, tuple)) and any(isinstance(item, str) for item in given):
        values = [value for item in given for value in units.numbers(str(item), what)]
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float)).ravel()
    except (TypeError, ValueError, OverflowError):
        raise RoofcalcError(f"{what}: expected numbers, got {given!r}"[:200]) from None
    wrong = array[~((array >= low) & (array <= high))]
    if wrong.size or not array.size:
        raise RoofcalcError(f"{what}: expected {units.plain(low)} to {units.plain(high)}, got {units.plain(wrong[0]) if wrong.size else 'nothing'}")
    return array


def whole(given: Any, what: str, high: int, low: int = 1) -> NDArray[Any]:
    """Whole numbers in low … high."""
    array = positive(given, what, low, high)
    broken = array[array != np.round(array)]
    if broken.size:
        raise RoofcalcError(f"{what}: expected a whole number, got {units.plain(broken[0])}")
    return array


def single(given: Any, what: str, low: float, high: float) -> float:
    """One number in low … high."""
    array = positive(given, what, low, high)
    if array.size > 1:
        raise RoofcalcError(f"{what}: expected one number, got {array.size}")
    return float(array[0])


def one_whole(given: Any, what: str, high: int) -> float:
    """One whole number in 1 … high."""
    return single(whole(given, what, high), what, 1, high)


def _degrees(given: Any, what: str) -> list[int | None]:
    return [None] if given is None else [int(value) for value in whole(given, what, 10**6)]
