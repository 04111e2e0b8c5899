"""Expands list arguments into deployments, validates options, and collects result rows and notes."""

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
from roofcalc.commands import defaults
from roofcalc.commands.arguments import MAX_TOKENS, Numbers, dtype_names, integer_array, names, optional_name, parallel_degrees, single_integer
from roofcalc.commands.grid import compute_chunk
from roofcalc.commands.options import Options
from roofcalc.commands.ranges import accuracy_notes, typical_notes
from roofcalc.commands.stated import DRAFTING, OFFLOADING, check_experts, check_serving, check_step_tokens, is_absent, stated_assumptions
from roofcalc.deployment import fitted
from roofcalc.deployment.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.deployment.assumptions import Assumptions, assumptions
from roofcalc.deployment.deployment import Deployment, cache_dtype, deploy
from roofcalc.deployment.fallbacks import notes
from roofcalc.deployment.usual_engine import ONE_EACH, divides_layers, usual_engine
from roofcalc.errors import RoofcalcError, did_you_mean, flag
from roofcalc.physics.ops.types import Sharding
from roofcalc.report import columns
from roofcalc.report.table import Block, Column, LazyBlock, Table
from roofcalc.solvers.parallel import checked_executor
from roofcalc.specs.device import Hardware
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace
from roofcalc.specs.weight_recipes import NATIVE

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEGREES = ("tp", "pp", "dp", "ep", "dcp")
PROMPTS = ("prefill", "interactivity", "max-batch", "plan", "cost", "frontier", "compare")  # commands that take --images
OF_GENERATIONS = ("cost", "vote", "rollouts", "plan")  # commands whose requests are whole generations without --isl and --osl
MAX_ROWS = 10_000_000
MAX_LISTED = 10**18  # rows of a table that is computed as it is written: their numbers fit 64 bits
MAX_KEPT = 50_000  # rows that are computed at once; larger tables are computed as they are written


class Request:
    """The arguments of one call: the lists of models, machines, precisions, layouts and overrides, and the table being filled.

    Parameters
    ----------
    command : str
        Name of the command, for the table and for messages.
    results : tuple of Column
        Columns of the command's results.
    model, hardware
        Names, lists of names, or records; hardware may be None for commands that need none.
    options : Options
        The options that every command shares.
    given : tuple of str
        Further assumptions (columns of `columns.WHERE_GIVEN`) that this command was given, such as `chunk`.
    more : tuple of Column
        Result columns appended after the assumption columns.

    Raises
    ------
    RoofcalcError
        An unknown option, an invalid choice, or a number outside its range.
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
        self.generations, self.accuracy = "isl" in given, dict[str, list[str]]()
        self.models, self.machines = names(model, "model"), [] if hardware is None else names(hardware, "hardware")
        self.options = options
        self.sweeps = combinations(options.get("changes") or ())
        chosen: dict[str, Any] = {name: options.get(name) for name in ASSUMPTION_NAMES if name != "assume"}
        for name in ("kv_block", "redundant_experts", "max_batched_tokens", "max_seqs", "shared_prefix"):
            if isinstance(chosen[name], str):
                number = units.number(chosen[name], flag(name))
                chosen[name] = int(number) if number.is_integer() else number
        self.fitted = fitted.read(path) if (path := options.get("profile")) is not None else None
        if self.fitted:
            chosen |= {name: value for name, value in self.fitted.values.items() if chosen[name] is None}
        assume = options.get("assume")
        presets = list(dict.fromkeys(names("roofline" if assume is None else assume, "--assume")))
        self.presets = [assumptions(preset, **chosen) for preset in presets]
        self.assumptions = self.presets[0]  # those of the deployment or search under way
        if options.get("images") is not None and command not in PROMPTS:
            raise RoofcalcError(f"--images: {command} counts no images; {', '.join(PROMPTS)} do")
        shown = {column.name for column in results}
        assumed = [column for column in columns.ASSUMED if column.name not in shown]
        if options.get("prefill") is not None and "isl" not in given and command not in OF_GENERATIONS:
            raise RoofcalcError("--prefill: only for whole generations; give --isl and --osl")
        if options.get("prefill") == "separate" and command == "plan":
            raise RoofcalcError("--prefill: plan prices one pool of devices; `roofcalc frontier --disaggregated` searches two")
        check_serving(command, options, given)
        check_step_tokens(options, self.presets)
        optional = stated_assumptions(options, given, self.presets if self.machines else [])
        self.table = Table(command, (*columns.CASE, *results, *assumed, *optional, *more))
        self.table.catalog = {"models": {}, "hardware": {}}
        if self.fitted:
            self.note(self.fitted.note({name for name in ASSUMPTION_NAMES if options.get(name) is not None}))
        self.table.executor, self.table.shortens = checked_executor(options.get("executor")), True

    def note(self, text: str) -> None:
        if text not in self.table.notes:
            self.table.notes.append(text)

    def deployments(self) -> Iterator[tuple[Deployment, tuple[Change, ...]]]:
        """Every combination of models, machines, precisions, layouts and overrides; the last list varies fastest."""
        degrees = list(product(*(parallel_degrees(self.options.get(name), name) for name in DEGREES)))
        for model_name, machine_name in product(self.models, self.machines):
            for (weights, kv), layout, changes, preset in product(self.precisions(model_name), degrees, self.sweeps, self.presets):
                self.assumptions = preset
                model, machine = self.model(model_name, changes), self.machine(machine_name, changes)
                yield self.deploy(model, machine, weights, kv, **dict(zip(DEGREES, layout, strict=True))), changes

    def searches(self) -> Iterator[tuple[Model, Hardware, tuple[Change, ...], list[tuple[str, str]]]]:
        """Every combination of model, machine and overrides, with the precisions, for commands that search over these and layouts themselves."""
        for model_name, machine_name, changes, preset in product(self.models, self.machines, self.sweeps, self.presets):
            self.assumptions = preset
            yield self.model(model_name, changes), self.machine(machine_name, changes), changes, self.precisions(model_name)

    @property
    def searched(self) -> int:
        """How many `searches` there are."""
        return len(self.models) * len(self.machines) * len(self.sweeps) * len(self.presets)

    def precisions(self, model: str | Model) -> list[tuple[str, str]]:
        """Every combination of weight recipe and KV-cache dtype; where no recipe is given, the one that the model's name gives."""
        given = self.options.get("weights")
        if given is None and isinstance(model, str) and (recipe := lookup.weights(model)) is not None:
            given = [recipe]
            self.note(f"{model.strip()}: --weights {recipe if ' ' not in recipe else repr(recipe)}, as the name says")
        return list(product(dtype_names(given, "--weights"), dtype_names(self.options.get("kv"), "--kv")))

    def fixed_degrees(self, engine: str | None) -> dict[str, set[int]]:
        """The parallel degrees that a layout search is restricted to, by name: those that were given, and what an engine has no others of."""
        given = {name: parallel_degrees(self.options.get(name), name) for name in DEGREES if self.options.get(name) is not None}
        fixed = {name: {degree for degree in degrees if degree} for name, degrees in given.items()}
        if not divides_layers(engine):
            return fixed
        one_each = ONE_EACH[1:] if {"tp", "pp"} & set(given) else ONE_EACH  # matrices are divided where it is said
        return {**{name: {1} for name in one_each}, **fixed}

    def deploy(self, model: Model, machine: Hardware, weights: str, kv: str, **layout: int | None) -> Deployment:
        """One model on one machine in one layout, with its draft model if there is one; fallbacks are reported in notes."""
        check_experts(model, self.options)
        assumed = self._of_engine(machine, weights)
        layout = self._layout_of_engine(assumed.engine, model, machine, layout)
        deployment = deploy(
            model,
            machine,
            weights=weights,
            kv=None if kv == NATIVE else kv,
            compute=optional_name(self.options.get("compute"), flag("compute")),
            comm=optional_name(self.options.get("comm_dtype"), flag("comm_dtype")),
            dispatch=optional_name(self.options.get("dispatch_dtype"), flag("dispatch_dtype")),
            combine=optional_name(self.options.get("combine_dtype"), flag("combine_dtype")),
            assumptions=assumed,
            **layout,
        )
        deployment = self._with_adapters_and_images(self._with_drafts(self._offloaded(deployment)))
        for text in notes(deployment):
            self.note(text)
        self._note_accuracy(machine.device.name, accuracy_notes(deployment, self.table.command, self.generations))
        return deployment

    def _note_accuracy(self, device: str, found: list[str]) -> None:
        """Notes how far `typical` was off; from the second device on each of these notes names those that it is about."""
        before = typical_notes(self.accuracy)
        for text in found:
            if device not in (devices := self.accuracy.setdefault(text, [])):
                devices.append(device)
        after, listed = typical_notes(self.accuracy), self.table.notes
        for old, new in zip(before, after, strict=False):
            listed[:] = [new if text == old else text for text in listed]
        listed += after[len(before) :]

    def _of_engine(self, machine: Hardware, weights: str) -> Assumptions:
        """The assumptions of the preset; `typical` takes an engine that runs such weights on such devices where none is named."""
        if not self.assumptions.is_typical or self.options.get("engine") is not None or (self.fitted and "engine" in self.fitted.values):
            return self.assumptions
        if (found := usual_engine(machine.device, weights)) is None:
            return self.assumptions
        self.note(f"typical: --engine {found[0]}, since {found[1]}")
        return replace(self.assumptions, engine=found[0])

    def _layout_of_engine(self, engine: str | None, model: Model, machine: Hardware, layout: dict[str, int | None]) -> dict[str, int | None]:
        """The degrees, where none is given and the engine divides layers over several devices: as many stages as devices."""
        drafted = not all(is_absent(self.options.get(name)) for name in DRAFTING)  # such deployments take no stages
        offloaded = any(self.options.get(name) is not None for name in OFFLOADING)
        if not divides_layers(engine) or machine.count == 1 or any(layout.values()) or drafted or offloaded or machine.count > model.depth:
            return layout
        self.note(f"llama.cpp: layers divided over {machine.count} devices, its default (--tp {machine.count}: --split-mode tensor)")
        return {**dict.fromkeys(ONE_EACH, 1), "pp": machine.count}

    def _offloaded(self, deployment: Deployment) -> Deployment:
        """The deployment with a part of it in the host's memory, where an option asks for it."""
        if all(self.options.get(name) is None for name in OFFLOADING):
            return deployment
        from roofcalc.commands.offloading import offloaded

        return offloaded(self, deployment)

    def _with_adapters_and_images(self, deployment: Deployment) -> Deployment:
        """The deployment with adapters and images, where an option asks for them."""
        if self.options.get("lora") is None and self.options.get("images") is None:
            return deployment
        from roofcalc.commands.adapters_and_images import with_adapters_and_images

        return with_adapters_and_images(self, deployment)

    def image_tokens(self, model: Model) -> int:
        """Tokens that `--images` adds to every prompt; a note says so."""
        if self.options.get("images") is None:
            return 0
        from roofcalc.commands.adapters_and_images import image_tokens

        return image_tokens(self, model)

    def _with_drafts(self, deployment: Deployment) -> Deployment:
        """The deployment with speculative decoding, where an option asks for it."""
        if all(is_absent(self.options.get(name)) for name in DRAFTING):
            return deployment
        drafts, draft_model = self.options.get("draft"), self.options.get("draft_model")
        from roofcalc.deployment.speculative import with_drafts

        drafted = with_drafts(
            deployment,
            None if drafts is None else single_integer(drafts, "--draft", 1000),
            self.options.get("acceptance"),
            self.model(draft_model) if draft_model is not None else None,
            bool(self.options.get("mtp")),
            self.options.get("accepted"),
            self.options.get("drafter"),
        )
        if drafted.draft and drafted.draft.drafter == "free":
            self.note(
                f"{drafted.draft.tokens} draft tokens per step are assumed free (n-gram or prompt lookup); "
                "use --drafter eagle, --draft-model or --mtp to include drafting cost"
            )
        return drafted

    def models_without_hardware(self) -> Iterator[tuple[Model, str | None, tuple[Change, ...]]]:
        """Every combination of model, KV dtype (None: the checkpoint's) and overrides, for commands that need no machine."""
        for name, kv, changes in product(self.models, dtype_names(self.options.get("kv"), "--kv"), self.sweeps):
            yield self.model(name, changes), None if kv == NATIVE else kv, changes

    def cache_dtype(self, model: Model, kv: str | None) -> Dtype:
        """Dtype of a model's KV cache: the one requested, otherwise the checkpoint's."""
        return cache_dtype(model, kv)

    def single_device_sharding(self, model: Model, kv: str | None) -> Sharding:
        """The sharding in which one device holds the whole model."""
        dtype = cache_dtype(model, kv)
        policy = self.assumptions.kv_policy
        return Sharding(kv_bytes=dtype.bytes_per_element, kv_scales=dtype.is_fp8, reserved=policy == "full", one_vector=policy == "minimal")

    def add_without_hardware(self, model: Model, changes: tuple[Change, ...], **values: Any) -> None:
        """Adds a block of rows for a model alone; only assumptions that affect the result are listed."""
        case = {"model": model.name, "kv_policy": self.assumptions.kv_policy, "changes": "; ".join(map(str, changes))}
        self.table.blocks.append(Block(int(values["seq"].size), {**case, **values}))

    def model(self, name: str | Model, changes: tuple[Change, ...] = ()) -> Model:
        """The model of that name, or the record itself; lookup notes and the entry's sources are kept for the table."""
        if isinstance(name, Model):
            _refuse_changes(changes, "models")
            return name
        model, notes_found = lookup.model(name, changes)
        for text in notes_found:
            self.note(text)
        self.table.catalog["models"][model.name] = list(model.sources)
        return model

    def machine(self, name: str | Hardware, changes: tuple[Change, ...] = ()) -> Hardware:
        """The hardware of that name, or the record itself; lookup notes and the entry's sources are kept for the table."""
        if isinstance(name, Hardware):
            _refuse_changes(changes, "hardware")
            return name
        machine, notes_found = lookup.hardware(name, changes)
        for text in notes_found:
            self.note(text)
        sources = (*(machine.system.sources if machine.system else ()), *machine.device.sources)
        self.table.catalog["hardware"][machine.name] = list(dict.fromkeys(sources))
        if self.fitted and (text := self.fitted.warning(machine.device.name)):
            self.note(text)
        return machine

    def contexts(self, model: Model, seq: Numbers | None) -> NDArray[Any]:
        """Context lengths in tokens: those requested, by default powers of two up to the model's maximum."""
        longest, prefix = model.context, self.assumptions.shared_prefix
        if seq is None:
            shorter = np.array([n for n in units.numbers(defaults.SEQ) if prefix < n <= longest])
            if shorter.size or longest > prefix:
                return shorter if shorter.size else np.array([float(longest)])
        requested = integer_array(longest if seq is None else seq, "--seq", MAX_TOKENS)
        if (requested <= prefix).any():
            raise RoofcalcError(f"--shared-prefix: contexts must be longer than its {prefix:,} tokens; got --seq {units.plain(requested.min())}")
        self.note_context(model, requested)
        short = requested[(requested < longest) & (requested % 1000 == 0) & (requested / 1000 * 1024 == longest)]
        if short.size and isinstance(seq, str) and "k" in seq.lower().replace("ki", ""):
            thousands = f"{short[0] / 1000:g}"
            self.note(f"{thousands}k is {short[0]:,.0f} tokens; {model.name}'s limit is {longest:,} ({thousands}Ki)")
        return requested

    def note_context(self, model: Model, seq: NDArray[Any]) -> None:
        """A note if any sequence is longer than the model supports."""
        if (seq > model.context).any():
            self.note(f"{model.name}: context exceeds the model's maximum of {model.context} tokens; results are extrapolated")

    def cross(self, *axes: NDArray[Any]) -> list[NDArray[Any]]:
        """The Cartesian product of the axes as flat arrays; the first axis varies slowest.

        Raises
        ------
        RoofcalcError
            More than MAX_ROWS combinations.
        """
        rows = math.prod(axis.size for axis in axes)
        if rows > MAX_ROWS:
            raise RoofcalcError(f"{rows:,} rows of one model on one machine; at most {MAX_ROWS:,} are computed at once")
        return [axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")]

    def add(self, deployment: Deployment, changes: tuple[Change, ...], **values: Any) -> None:
        """Adds a block of computed rows, together with their assumptions."""
        self.table.blocks.append(Block(int(values["seq"].size), {**self.case(deployment, changes), **values}))

    def fill(
        self, deployment: Deployment, changes: tuple[Change, ...], axes: Sequence[NDArray[Any]], rows: Callable[..., dict[str, Any]], **shared: Any
    ) -> None:
        """Adds a row for every point of the axes' Cartesian product (first axis slowest), evaluated in chunks when the rows are read.

        Parameters
        ----------
        axes : sequence of array
            One-dimensional arrays.
        rows : callable
            Takes one flat array per axis, all of one length, and returns the result columns. It must be a module-level function,
            or a `partial` of one, because it may be sent to another process.
        shared
            Columns with one value for all rows.
        """
        common = {**self.case(deployment, changes), **shared}
        size = math.prod(axis.size for axis in axes)
        if len(self.table) + size > MAX_LISTED:
            raise RoofcalcError(f"{size:,} rows of one model on one machine; at most {MAX_LISTED:,} are listed: use shorter ranges")
        self.table.blocks.append(LazyBlock(size, common, partial(compute_chunk, tuple(axes), common, rows)))

    def answer(self) -> Table:
        """The finished table; rows of very large tables stay unevaluated until they are read."""
        if len(self.table) <= MAX_KEPT:
            self.table.materialise()
        return self.table

    def case(self, deployment: Deployment, changes: tuple[Change, ...]) -> dict[str, Any]:
        """Columns that all rows of a deployment share: what is deployed, and under which assumptions."""
        assumed = {name: getattr(deployment.assumptions, name) for name in ASSUMPTION_NAMES}
        layout = {name: getattr(deployment.layout, name) for name in DEGREES}
        messages = {"comm_dtype": deployment.comm, "dispatch_dtype": deployment.dispatch, "combine_dtype": deployment.combine}
        case: dict[str, Any] = {
            "model": deployment.model.name,
            "hardware": deployment.hardware.name,
            "weights": deployment.weights_label,
            "kv": deployment.kv.name,
            "compute": deployment.compute_label,
            "memory_rules": deployment.rules.name if deployment.rules else "none",
            "timings": deployment.profile.engine if deployment.profile else None,
            **{name: dtype.name for name, dtype in messages.items() if dtype},
            "changes": "; ".join(map(str, changes)),
            "profile": self.fitted.file if self.fitted else None,
        }
        if deployment.offload:
            case |= {"offload": deployment.offload.label, "gpu_layers": deployment.offload.gpu_layers, "host": deployment.offload.host.label}
        case |= {name: record.stated for name, record in (("images", deployment.images), ("lora", deployment.lora)) if record}
        if deployment.draft:
            draft = deployment.draft
            case |= {"draft": draft.tokens, "acceptance": draft.acceptance, "accepted": draft.accepted, "drafter": draft.drafter}
            case |= {"mtp": draft.drafter == "mtp"}
            case |= {"draft_model": draft.deployment.model.name if draft.deployment and draft.drafter == "model" else None}
        return {**case, **assumed, **layout}


def _refuse_changes(changes: tuple[Change, ...], target: str) -> None:
    for change in changes:
        if change.target == target:
            raise RoofcalcError(f"--set {change}: only named catalog entries can be overridden, not records")
