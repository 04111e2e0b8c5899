"""A question under way: its lists crossed into deployments, its numbers checked, its rows and notes kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc import units
from roofcalc.catalog import lookup
from roofcalc.catalog.overrides import Change, combinations
from roofcalc.commands.arguments import MAX_TOKENS, Numbers, degrees_of, names, one_whole, whole, word, words
from roofcalc.commands.grid import stretch
from roofcalc.commands.options import Options
from roofcalc.deployment.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, cache_dtype, deploy, notes
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.physics.ops.types import Sharding
from roofcalc.report import columns
from roofcalc.report.table import Block, Column, Promise, Table
from roofcalc.solvers.parallel import checked
from roofcalc.specs.device import Hardware
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.model import Model
from roofcalc.specs.weight_recipes import NATIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_SEQ = "1k:128k:x2"
DEGREES = ("tp", "pp", "dp", "ep", "dcp")
MAX_ROWS = 10_000_000
MAX_KEPT = 50_000  # rows that are computed before anyone reads them


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
        self.models, self.machines = names(model, "model"), [] if hardware is None else names(hardware, "hardware")
        self.options = options
        asked = {*given, *(name for name in options if options.get(name))}
        asked |= {name for name in ("layer_overhead_us", "step_overhead_us") if options.get(name) is not None}
        asked |= {"draft", "acceptance"} if asked & {"draft", "acceptance", "draft_model", "mtp"} else set()
        optional = [column for column in columns.WHERE_GIVEN if column.name in asked]
        self.sweeps = combinations(options.get("changes") or ())
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
        presets = list(dict.fromkeys(words(options.get("assume") or "roofline", "assume")))
        self.presets = [assumptions(preset, **chosen) for preset in presets]
        self.assumptions = self.presets[0]  # those of the deployment or search under way

    def note(self, text: str) -> None:
        if text not in self.table.notes:
            self.table.notes.append(text)

    def deployments(self) -> Iterator[tuple[Deployment, tuple[Change, ...]]]:
        """Every combination, in the order in which the lists were given."""
        degrees = list(product(*(degrees_of(self.options.get(name), name) for name in DEGREES)))
        for model_name, machine_name in product(self.models, self.machines):
            for (weights, kv), layout, changes, preset in product(self.precisions(model_name), degrees, self.sweeps, self.presets):
                self.assumptions = preset
                model, machine = self._model(model_name, changes), self._machine(machine_name, changes)
                yield self.deployed(model, machine, weights, kv, **dict(zip(DEGREES, layout, strict=True))), changes

    def searches(self) -> Iterator[tuple[Model, Hardware, tuple[Change, ...], list[tuple[str, str]]]]:
        """Every model, machine and change, for questions that look for the layout themselves, among precisions too."""
        for model_name, machine_name, changes, preset in product(self.models, self.machines, self.sweeps, self.presets):
            self.assumptions = preset
            yield self._model(model_name, changes), self._machine(machine_name, changes), changes, self.precisions(model_name)

    @property
    def searched(self) -> int:
        """How many `searches` there are."""
        return len(self.models) * len(self.machines) * len(self.sweeps) * len(self.presets)

    def precisions(self, model: str | Model) -> list[tuple[str, str]]:
        """Recipes of weights and dtypes of the cache, every combination; where none is given, the recipe that the model's name gives."""
        given = self.options.get("weights")
        if given is None and isinstance(model, str) and (recipe := lookup.weights(model)) is not None:
            given = [recipe]
            self.note(f"{model.strip()}: --weights {recipe if ' ' not in recipe else repr(recipe)}, as the name says")
        return list(product(words(given, "weights"), words(self.options.get("kv"), "kv")))

    def degrees(self) -> dict[str, set[int]]:
        """The degrees that a search is held to, by name."""
        return {name: {int(one) for one in degrees_of(self.options[name], name) if one} for name in DEGREES if self.options.get(name) is not None}  # type: ignore[literal-required]

    def deployed(self, model: Model, machine: Hardware, weights: str, kv: str, **layout: int | None) -> Deployment:
        """One deployment, its drafts included; what had to give is noted."""
        deployment = deploy(
            model,
            machine,
            weights=weights,
            kv=None if kv == NATIVE else kv,
            compute=word(self.options.get("compute"), "compute"),
            comm=word(self.options.get("comm_dtype"), "comm_dtype"),
            dispatch=word(self.options.get("dispatch_dtype"), "dispatch_dtype"),
            combine=word(self.options.get("combine_dtype"), "combine_dtype"),
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
        from roofcalc.deployment.speculative import with_drafts

        drafter = self._model(named, ()) if named is not None else None
        tokens = None if drafts is None else int(one_whole(drafts, "draft", 1000))
        found = with_drafts(deployment, tokens, acceptance, drafter, own_layer)
        if found.draft and found.draft.deployment is None:
            self.note(f"drafts cost nothing here ({found.draft.tokens} per step, looked up); --draft-model or --mtp lets one draft")
        return found

    def models_alone(self) -> Iterator[tuple[Model, str | None, tuple[Change, ...]]]:
        """Every model, KV dtype and change, for questions that need no machine."""
        caches = words(self.options.get("kv"), "kv")
        for name, kv, changes in product(self.models, caches, self.sweeps):
            yield self._model(name, changes), None if kv == NATIVE else kv, changes

    def cache_dtype(self, model: Model, kv: str | None) -> Dtype:
        """The dtype of a model's cache: the one asked for, or the checkpoint's."""
        return cache_dtype(model, kv)

    def whole_place(self, model: Model, kv: str | None) -> Sharding:
        """A model on one place that holds all of it."""
        dtype = cache_dtype(model, kv)
        reserved = self.assumptions.kv_policy == "reserved"
        return Sharding(kv_bytes=dtype.bytes_per_element, kv_scales=dtype.is_fp8, reserved=reserved)

    def add_alone(self, model: Model, changes: tuple[Change, ...], **values: Any) -> None:
        """Adds a block of rows of a question without a machine: only what moved it is said to be assumed."""
        case = {"model": model.name, "kv_policy": self.assumptions.kv_policy, "changes": "; ".join(map(str, changes))}
        self.table.blocks.append(Block(int(values["seq"].size), {**case, **values}))

    def _model(self, name: str | Model, changes: tuple[Change, ...]) -> Model:
        if isinstance(name, Model):
            _refuse_changes(changes, "models")
            return name
        model, found = lookup.model(name, changes)
        for text in found:
            self.note(text)
        self.table.catalog["models"][model.name] = list(model.sources)
        return model

    def _machine(self, name: str | Hardware, changes: tuple[Change, ...]) -> Hardware:
        if isinstance(name, Hardware):
            _refuse_changes(changes, "hardware")
            return name
        machine, found = lookup.hardware(name, changes)
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
        short = asked[(asked < own) & (asked % 1000 == 0) & (asked / 1000 * 1024 == own)]
        if short.size and isinstance(seq, str) and "k" in seq.lower().replace("ki", ""):
            thousands = f"{short[0] / 1000:g}"
            self.note(f"{thousands}k is {short[0]:,.0f} tokens; {model.name}'s limit is {own:,} ({thousands}Ki)")
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
        self.table.blocks.append(Promise(size, alike, partial(stretch, tuple(axes), alike, rows)))

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


def _refuse_changes(changes: tuple[Change, ...], target: str) -> None:
    for change in changes:
        if change.target == target:
            raise RoofcalcError(f"--set {change}: only entries that are named can be changed, not records")
