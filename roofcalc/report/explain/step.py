"""Explains the time of a stage of a step: FLOPs, bytes and times of each operation, each message, and their sum."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import collectives, offload, overhead, resources, roofline
from roofcalc.physics import decode_ops as operations
from roofcalc.physics.adapters import adapter_operations
from roofcalc.physics.images import tower_operations
from roofcalc.physics.offload import HostWork
from roofcalc.physics.ops import ffn
from roofcalc.physics.ops.gemm import gemm_operations
from roofcalc.physics.ops.operation import Grouped, Message, Operation
from roofcalc.physics.ops.recurrent import recurrent
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import NO_SHARING, Cache, Part, Recurrence, Routed, SharedPrefix
from roofcalc.report.explain import caches, kernels
from roofcalc.report.explain.formulas import Evaluated, evaluate, filled, number, work
from roofcalc.report.explain.render import Line, Section, line, total
from roofcalc.specs.attention_spec import AttentionSpec
from roofcalc.specs.formula import formulas
from roofcalc.specs.model import Block
from roofcalc.specs.record import replace
from roofcalc.specs.weights import Matrix


class Sums:
    """The seconds on each resource, collected term by term from the printed lines."""

    def __init__(self) -> None:
        self.work: list[float] = []
        self.compute: list[float] = []
        self.memory: list[float] = []
        self.link: list[float] = []
        self.scale_out: list[float] = []
        self.overhead: list[float] = []
        self.host: list[float] = []


FURTHER = {
    "adapters": f"FLOPs {formulas(adapter_operations)['FLOPs']}, bytes {formulas(adapter_operations)['bytes']}; r_elements is of one adapter",
    "tower.matrices": f"FLOPs {formulas(tower_operations)['FLOPs']}, bytes {formulas(tower_operations)['bytes']}",
    "tower.attention": f"FLOPs {formulas(tower_operations)['FLOPs, attention']}",
}


class StepWorking:
    """Explains one stage of a step, for one context and batch."""

    prompt = False  # whether the step is a prefill

    def __init__(self, deployment: Deployment, stage: Stage, seq: float, batch: float, tokens: float = 1.0) -> None:
        self.deployment = deployment
        self.stage = stage
        self.seq = seq
        self.tokens = tokens
        self.load, sequences = operations.token_load(deployment, np.float64(batch), tokens)
        self.sequences = float(sequences)
        self.sums = Sums()
        self.message_tokens = float(self.load.tokens)
        if deployment.assumptions.is_bound:
            self.message_tokens /= deployment.layout.dp

    def sections(self) -> list[Section]:
        """The operations and messages of the stage, and their sum."""
        model = self.deployment.model
        found: list[Section] = []
        for name, layers in self.stage.groups:
            block = model.blocks[name]
            records: tuple[Any, ...] = block.parts  # those with caches are attention
            for part, record in zip(parts(block, model.hidden, self.load.sharding), records, strict=True):
                found += self.before(name, part)
                found += [self.product(f"{name}.{matrix.name}", matrix, layers, part) for matrix in part.matrices]
                found += [self.attention(f"{name}.{cache.name}", record, part, cache, layers) for cache in part.caches]
                found += [self.state(f"{name}.state", part.recurrence, layers)] if part.recurrence else []
                found += self._experts(name, part.routed, self.layers_on_device(name, layers)) if part.routed else []
        if self.stage.last:
            found.append(self.product("head", model.head(self.load.sharding.tp), 1, None))
        if self.deployment.assumptions.network != "ideal":
            found += [self._message(message) for message in self.messages()]
        return [*found, *map(self._further, self.further()), *self._small(), *self._host(), *self._overhead(), self._sum()]

    def further(self) -> list[Operation]:
        """Operations other than those of the model's layers: of adapters, and in a prefill of the vision tower."""
        return adapter_operations(self.deployment, self.stage, self.load, np.float64(self.sequences))

    def _further(self, one: Operation) -> Section:
        flops, moved = (float(np.squeeze(value)) * self.load.spread for value in (one.flops, one.bytes))
        lines = [Line("FLOPs", flops, ""), Line("bytes", moved, "")]
        return Section(one.name, (*lines, *self.times(one.name, lines, one.role, one.tensor, one.layers)), FURTHER[one.name])

    def layers_on_device(self, name: str, layers: int) -> int:
        """Layers of a block whose routed experts the devices compute."""
        hosted = sum(one.layers for one in self.host_work() if one.name == f"{name}.{offload.ROUTED}" and np.any(one.flops))
        return layers - hosted

    def host_work(self) -> list[HostWork]:
        """What the step does on the host, the attention of all sequences included."""
        found = offload.step_work(self.deployment, self.stage, self.load)
        if self.stage.first:
            sequences = self.sequences * self.deployment.layout.dp
            each = offload.sequence_work(self.deployment, operations.at_context(np.float64(self.seq)), self.tokens)
            found += [one._replace(flops=sequences * one.flops, bytes=sequences * one.bytes, seconds=sequences * one.seconds) for one in each]
        return found

    def _host(self) -> list[Section]:
        """Work of the CPUs, and weights that cross the link to the devices."""
        if self.deployment.offload is None:
            return []
        lines: list[Line] = []
        for one in self.host_work():
            seconds = float(np.squeeze(one.seconds))
            flops, moved = (float(np.squeeze(value)) for value in (one.flops, one.bytes))
            lines.append(Line(one.name, seconds, f"s, {one.layers} layers: {number(flops)} FLOPs, {number(moved)} bytes"))
            self.sums.host.append(seconds)
        known = [formulas(function)[name] for function, name in ((offload.computed_s, "host"), (offload.streamed_s, "stream"))]
        words = f"host: computed {known[0]}, streamed {known[1]}, each layer; {self.deployment.offload.host.label}"
        return [Section("Host", tuple(lines), words)] if lines else []

    def messages(self) -> list[Message]:
        """The messages of the stage."""
        return operations.messages(self.deployment, self.stage)

    def before(self, name: str, part: Part) -> list[Section]:
        """Sections to print before the operations of a part."""
        return []

    def heading(self, index: int) -> Section:
        """A title that lists the layers of a kind of stage."""
        stage = self.stage
        holds = ", ".join(f"{count} {name}" for name, count in stage.groups)
        ends = ", the embedding" * stage.first + ", the head" * stage.last
        return Section(f"Stage kind {index + 1} of {len(self.deployment.stages)}: {holds}{ends}; {stage.count} identical", ())

    def product(self, name: str, matrix: Matrix, layers: int, part: Part | None) -> Section:
        """A GEMM; `part` is None for the LM head."""
        lines = self.gemm_lines(matrix, float(self.load.tokens))
        return Section(self.title(name, layers, matrix), (*lines, *self.times(name, lines, "linear", matrix.tensor, layers * matrix.copies)))

    def gemm_lines(self, matrix: Matrix, tokens: float) -> list[Line]:
        """FLOPs and bytes of one GEMM with `tokens` tokens."""
        letters = {"T": tokens, "K": matrix.rows, "N": matrix.cols, "w": self.deployment.weight_dtype(matrix.tensor).bytes_per_element}
        moved = "bytes with activations" if self.deployment.assumptions.activations else "bytes"
        return [line(work(gemm_operations, "FLOPs", letters)), line(work(gemm_operations, moved, letters, "bytes"))]

    def title(self, name: str, layers: int, matrix: Matrix) -> str:
        """The title of a GEMM: its name, layers and copies."""
        return f"{name}, {layers} layers" + (f" of {matrix.copies} equal GEMMs" if matrix.copies > 1 else "")

    def attention(self, name: str, record: AttentionSpec, part: Part, cache: Cache, layers: int) -> Section:
        """Attention over one cache, or an indexer's scores."""
        sharding = self.load.sharding
        lines = caches.entry(record, cache, sharding)
        lines += caches.entries_read(cache.span, self.seq)
        reads = float(np.asarray(cache.span.entries_read(np.float64(self.seq))))
        prefix, tokens, of = float(self.deployment.assumptions.shared_prefix), self.tokens, "one sequence"
        streams = SharedPrefix(self.sequences if prefix else 1.0, prefix)
        loaded = float(np.asarray(streams.of(cache.span.read_by_tokens(self.tokens)).entries_read(np.float64(self.seq))))
        if prefix:
            tokens, of = tokens * self.sequences, f"{self.sequences:g} sequences"
            lines.append(Line("loaded", loaded, f"different entries that {of} with {prefix:g} tokens in common read"))
        elif loaded != reads:
            lines.append(Line("loaded", loaded, f"different entries read by {self.tokens:g} tokens"))
        letters = {"q": tokens, "f_entry": cache.flops, "reads": reads, "entry": cache.entry_bytes, "loaded": loaded}
        lines.append(line(work(operations.attention_op, "FLOPs", letters, f"FLOPs of {of}")))
        moved = "bytes, loaded again" if cache.loads != 1 else "bytes"
        lines.append(line(work(operations.attention_op, moved, {**letters, "loads": cache.loads}, f"bytes of {of}")))
        repeated = 1.0 if prefix else self.sequences
        return Section(f"{name}, {layers} layers", (*lines, *self.times(name, lines, cache.role, "kv", layers, repeated)))

    def state(self, name: str, state: Recurrence, layers: int) -> Section:
        """The update of a recurrent state."""
        letters = {"q": self.tokens, "f_state": state.flops, "N_s": state.elements, "b": state.bytes_per_element}
        lines = [line(work(operations.state_update_op, what, letters, f"{what} of one sequence")) for what in ("FLOPs", "bytes")]
        words = f"f_state is {formulas(recurrent)['FLOPs']}, or {formulas(recurrent)['FLOPs, delta rule']} by the delta rule, per token"
        return Section(f"{name}, {layers} layers", (*lines, *self.times(name, lines, "state", "state", layers, self.sequences)), words)

    def _experts(self, block: str, routed: Routed, layers: int) -> list[Section]:
        sharding = self.load.sharding
        letters = {
            "T_g": float(self.load.group_tokens),
            "k_e": routed.top_k,
            "E": routed.experts,
            "E_all": routed.routed,
            "g": sharding.group,
            "imbalance": sharding.imbalance if sharding.ep > 1 else 1.0,
        }
        if routed.routing.shares:
            words = "different experts on average: the sum of 1 − (1 − p_e)^T_g over the shares of --routing"
            hit = Line("D", float(ffn.expected_active_experts(routed, self.load.group_tokens)), words)
        else:
            name = "D, skewed routing" if routed.routing.is_skewed else "D"
            hit = line(work(ffn.expected_active_experts, name, letters, "D"), "different experts on average")
        letters["D"] = float(hit.value)
        found = [Section(f"{block}: active experts", (hit,))]
        moved = "bytes with activations" if self.deployment.assumptions.activations else "bytes"
        for matrix in routed.matrices:
            w = self.deployment.weight_dtype(matrix.tensor).bytes_per_element
            all_ = {**letters, "K": matrix.rows, "N": matrix.cols, "w": w}
            lines = [line(work(ffn.expert_operations, name, all_, name.split(" with")[0])) for name in ("FLOPs", moved)]
            found.append(
                Section(
                    f"{block}.{matrix.name}, {layers} layers", (*lines, *self.times(f"{block}.{matrix.name}", lines, "linear", matrix.tensor, layers))
                )
            )
        return found

    def times(self, name: str, lines: list[Line], role: str, tensor: str, layers: int, sequences: float = 1.0) -> list[Line]:
        """Seconds of arithmetic and memory, and the total over layers and sequences; in `typical` those of kernel models."""
        deployment = self.deployment
        if kernels.is_timed(deployment):
            return self._kernel(name, sequences)
        runs_at = deployment.format_of(role, tensor)
        spread = self.load.spread
        mfu, mbu = deployment.achieved
        flops, moved = (float(one.value) for one in lines[-2:])
        letters = {
            "FLOPs": flops,
            "bytes": moved,
            "mfu": mfu,
            "F": (deployment.flop_per_s(runs_at) or 0.0) * spread,
            "mbu": mbu,
            "β": deployment.memory_bytes_per_s * spread,
        }
        both = [line(work(resources.operation_seconds, what, letters), "s") for what in ("compute", "memory")]
        n = layers * sequences
        compute, memory = (float(one.value) * n for one in both)
        self.sums.compute.append(compute)
        self.sums.memory.append(memory)
        times = [number(count) for count in (layers, sequences) if count != 1]
        overlap = deployment.assumptions.overlap
        both[0] = both[0]._replace(unit=f"s in {runs_at}" + (f", F of {spread:g} devices" if spread > 1 else ""))
        if overlap == "full":
            return [
                *both,
                *(Line(f"{one.what} in all", float(one.value) * n, "s", "", "·".join([*times, number(float(one.value))])) for one in both if n != 1),
            ]
        formula = "time" if overlap != "none" else "time, nothing overlapped"
        taken = work(resources.operation_seconds, formula, {one.what: float(one.value) for one in both}, "time")
        all_ = taken.value * n
        self.sums.work.append(all_)
        return [*both, line(taken, "s"), *([Line("in all", all_, "s", "", "·".join([*times, number(taken.value)]))] if times else [])]

    @cached_property
    def timed(self) -> dict[str, Operation]:
        """The operations of the stage on the devices by name, as kernel models time them."""
        here = [*operations.batch_operations(self.deployment, self.stage, self.load)]
        prefix = float(self.deployment.assumptions.shared_prefix)
        streams = SharedPrefix(self.sequences, prefix) if prefix else NO_SHARING
        entries = operations.at_context(np.float64(self.seq))
        here += operations.sequence_operations(self.deployment, self.stage, entries, self.tokens, streams)
        return {one.name: one for one in (*here, *self.further())}

    def _kernel(self, name: str, sequences: float) -> list[Line]:
        """The time of an operation by its kernel model, all layers and sequences together."""
        operation = self.timed[name]
        block = name.split(".")[0]
        if isinstance(operation.shape, Grouped):
            operation = replace(operation, layers=self.layers_on_device(block, operation.layers))
        lines, terms = kernels.operation_lines(self.deployment, operation, np.float64(sequences))
        compute, memory = (float(terms.get(one, 0.0)) for one in ("compute", "bandwidth"))
        self.sums.work.append(compute + memory)
        self.sums.compute.append(compute)
        self.sums.memory.append(memory)
        self.sums.overhead.append(float(terms.get("overhead", 0.0)))
        return lines

    def _small(self) -> list[Section]:
        """The small kernels of the stage, and the constants of whole runs, in `typical`."""
        if not kernels.is_timed(self.deployment):
            return []
        section, seconds = kernels.small_section(self.deployment, tuple(self.stage.groups), float(self.load.tokens))
        self.sums.work.append(seconds)
        self.sums.memory.append(seconds)
        return [section, kernels.run_section(self.deployment)]

    def _message(self, message: Message) -> Section:
        deployment = self.deployment
        of_size = {"T": self.message_tokens, "width": message.elements, "a": deployment.wire_bytes(message.dtype)}
        size = line(work(collectives.seconds, "M", of_size), "B")
        lines = [*self._all_to_all_copies(message), size]
        words = "width: elements per token, divided over the t ranks that share the message" if message.kind in ("all_to_all", "send") else ""
        if deployment.profile and deployment.assumptions.link is None:
            more, time = kernels.message_lines(deployment, message, self.message_tokens)
            for terms, seconds in zip((self.sums.link, self.sums.scale_out, self.sums.overhead), time, strict=True):
                terms.append(float(seconds) * message.layers)
            return Section(f"{message.name}, {message.layers} messages", (*lines, *more), words)
        for applied in collectives.applied_formulas(deployment, message):
            worked = work(applied.function, applied.name, {**applied.symbols, "M": float(size.value)})
            seconds = worked.value * message.layers
            lines.append(line(worked, "s"))
            if message.layers > 1:
                lines.append(Line("in all", seconds, "s", "", f"{message.layers}·{number(worked.value)}"))
            (self.sums.scale_out if applied.link == "scale_out" else self.sums.link).append(seconds)
        if latency := float(collectives.seconds(deployment, message, np.float64(self.message_tokens)).latency):
            lines.append(Line("latency in all", message.layers * latency, "s", "", f"{message.layers}·{number(latency)}"))
            self.sums.overhead.append(message.layers * latency)
        return Section(f"{message.name}, {message.layers} messages", tuple(lines), words)

    def _overhead(self) -> list[Section]:
        """Fixed overhead of each layer and of the pass through the stage."""
        deployment = self.deployment
        lines: list[Line] = []
        for name, layers in self.stage.groups:
            lines += self._overhead_lines("layers", name, {"layers": layers, "τ": overhead.layer_seconds(deployment, self.prompt)})
        waiting = overhead.pass_seconds(deployment, self.prompt)
        each = 0.0 if self.prompt else float(overhead.pass_seconds(deployment, False, 1.0)) - float(waiting)
        letters = {"τ_step": waiting, "B_r": self.sequences, "τ_seq": each}
        lines += self._overhead_lines("step, with sequences" if each else "step", "step", letters)
        words = (
            "τ for each layer, τ_step for each pass, τ_seq for each sequence: --layer-overhead-us and --step-overhead-us, or as fitted to whole runs"
        )
        return [Section("Overhead", tuple(lines), words)] if lines else []

    def _overhead_lines(self, formula: str, name: str, letters: dict[str, float]) -> list[Line]:
        """A line with one part of the overhead; none where it is zero."""
        worked = work(overhead.seconds, formula, letters, name)
        if not worked.value:
            return []
        self.sums.overhead.append(worked.value)
        return [line(worked, "s")]

    def _all_to_all_copies(self, message: Message) -> list[Line]:
        """How many ranks and domains a token is sent to in a dispatch or combine."""
        if message.kind != "all_to_all":
            return []
        layout, domain = self.deployment.layout, self.deployment.hardware.domain
        block: Block = self.deployment.model.blocks[message.name.split(".")[0]]
        (routed,) = [part.routed for part in parts(block, self.deployment.model.hidden, operations.storage_sharding(self.deployment)) if part.routed]
        domains = -(-message.group // domain)
        found: list[Line] = []
        for letter, shards in (("P_hit", layout.ep), ("P_hit_dom", domains if layout.ep > 1 else 1)):
            formula = formulas(ffn.prob_shard_hit)["P_hit"]
            letters = {"E": routed.experts, "E_all": routed.routed, "k_e": routed.top_k, "shards": shards}
            value = ffn.prob_shard_hit(routed, shards)
            if shards > 1 and not routed.routing.is_skewed:
                found.append(line(Evaluated(letter, formula, filled(formula, letters), evaluate(formula, letters))))
            else:
                words = "skewed routing: experts are where their tokens are" if shards > 1 else "every rank has a shard of each expert"
                found.append(Line(letter, value, words))
        letters_ = {"g": message.group, "D_s": domain, "domains": domains, "P_hit": float(found[0].value), "P_hit_dom": float(found[1].value)}
        copies = [line(work(operations.expert_all_to_all, name, letters_)) for name in ("copies", "across")]
        return [found[0], copies[0]] if domains == 1 else [*found, *copies]

    def _sum(self) -> Section:
        """The time of the stage by the overlap in force."""
        assumed, sums = self.deployment.assumptions, self.sums
        network = sums.link + sums.scale_out
        lines: list[Line] = []
        letters: dict[str, float] = {}

        def add(name: str, terms: list[float]) -> None:
            letters[name] = sum(terms)
            lines.append(total(name, terms, "s") if terms else Line(name, 0.0, "s"))

        if assumed.overlap == "full":
            add("compute", sums.compute)
            spared = resources.cache_savings_s(self.deployment)
            add("memory", [*sums.memory, *([-spared] if spared else [])])
            for name, terms in (("link", sums.link), ("scale_out", sums.scale_out)) if assumed.is_bound else (("network", network),):
                add(name, terms)
        else:
            add("work", sums.work)
            add("network", network)
        formula = "full, bound" if assumed.overlap == "full" and assumed.is_bound else "op" if assumed.overlap == "none" else assumed.overlap
        worked = work(roofline.Step.stage_seconds, formula, letters, "stage")
        lines.append(line(worked, "s"))
        if sums.host:
            add("host", sums.host)
            hosted = "full, host" if assumed.overlap == "full" else "net, host" if assumed.overlap == "net" else "with host"
            letters["overlapped"] = worked.value
            worked = work(roofline.Step.stage_seconds, hosted, letters, "stage")
            lines[-2] = lines[-2]._replace(what="overlapped")
            lines.append(line(worked, "s"))
        if sums.overhead:
            add("overhead", sums.overhead)
            worked = work(roofline.Step.stage_seconds, "with overhead", {"overlapped": worked.value, "overhead": letters["overhead"]}, "stage")
            lines[-2] = lines[-2]._replace(what="overlapped")
            lines.append(line(worked, "s"))
        self.seconds = worked.value
        return Section("Stage", tuple(lines), f"overlap {assumed.overlap}")
