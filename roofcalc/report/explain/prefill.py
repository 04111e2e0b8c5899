"""Explains the time to first token: one step of P new tokens after C cached ones, in each stage."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import decode_ops as decode_operations
from roofcalc.physics import overhead
from roofcalc.physics import prefill_ops as operations
from roofcalc.physics.offload import HostWork
from roofcalc.physics.ops.operation import Message, Operation
from roofcalc.physics.ops.types import Cache, Part, Recurrence
from roofcalc.physics.prefill import chunks, further_operations, pieces_at_once, prefill_messages, prefill_share, stage_work
from roofcalc.report.explain import caches
from roofcalc.report.explain.formulas import number, work
from roofcalc.report.explain.render import Line, Section, line, total
from roofcalc.report.explain.stages import shares
from roofcalc.report.explain.step import StepWorking
from roofcalc.specs.attention_spec import AttentionSpec
from roofcalc.specs.weights import Matrix

REQUEST = "the prefill, and per-request overhead: HTTP, tokenising, scheduling"


class PrefillWorking(StepWorking):
    """Explains one stage of a prefill."""

    prompt = True

    def __init__(self, deployment: Deployment, stage: Stage, new: float, cached: float, batch: float) -> None:
        super().__init__(deployment, stage, cached + new, batch, new)
        self.load, _ = prefill_share(deployment, np.float64(batch), new)
        self.new = new
        self.cached = cached
        self.batch = batch
        self.expanded = False

    def host_work(self) -> list[HostWork]:
        index = self.deployment.stages.index(self.stage)
        steps = chunks(np.array([self.new]), np.array([self.cached]), None)
        return stage_work(self.deployment, index, steps, np.array([[self.batch]]))[2]

    @cached_property
    def timed(self) -> dict[str, Operation]:
        index = self.deployment.stages.index(self.stage)
        steps = chunks(np.array([self.new]), np.array([self.cached]), None)
        return {one.name: one for one in stage_work(self.deployment, index, steps, np.array([[self.batch]]))[0]}

    def further(self) -> list[Operation]:
        return further_operations(self.deployment, self.stage, self.load, np.float64(self.sequences))

    def messages(self) -> list[Message]:
        return prefill_messages(self.deployment, self.stage)

    def before(self, name: str, part: Part) -> list[Section]:
        """Which form of MLA is used, and why."""
        value = operations.attention_to_gemm_rate_ratio(self.deployment) if part.expanded_form else 1.0
        self.expanded = bool(operations.use_expanded_form(part, self.new, self.cached, value))
        if part.expanded_form is None:
            return []
        cache = part.caches[0]
        lines = caches.pairs(cache.span, self.cached, self.new)
        letters = {
            "pairs": float(np.asarray(cache.span.pairs(np.float64(self.cached), np.float64(self.new)))),
            "f_entry": cache.flops,
            "f_pair": part.expanded_form.flops,
            "f_up": part.expanded_form.entry_flops,
            "P": self.new,
            "C": self.cached,
            "v": value,
        }
        lines.append(Line("v", value, "FLOPs of attention in the time of one FLOP of a GEMM"))
        lines += [
            line(work(operations.use_expanded_form, what, letters), "FLOPs of one sequence, at the rate of attention")
            for what in ("absorbed", "expanded")
        ]
        words = "expanded, keys and values of all heads are rebuilt from the latents" if self.expanded else "absorbed, heads attend to the latents"
        return [Section(f"{name}: form of MLA", tuple(lines), f"the faster one: {words}")]

    def product(self, name: str, matrix: Matrix, layers: int, part: Part | None) -> Section:
        tokens = float(self.load.tokens)
        lines: list[Line] = []
        if part is None:
            tokens = self.sequences
            lines.append(Line("T", tokens, "only the last token of each sequence is scored"))
        elif self.expanded and part.expanded_form and matrix.name in part.expanded_form.replaces:
            again = line(work(operations.mla_up_projection_ops, "T, expanded", {"T": tokens, "C": self.cached, "P": self.new}, "T"))
            lines.append(again)
            tokens = float(again.value)
        lines += self.gemm_lines(matrix, tokens)
        return Section(self.title(name, layers, matrix), (*lines, *self.times(name, lines, "linear", matrix.tensor, layers * matrix.copies)))

    def attention(self, name: str, record: AttentionSpec, part: Part, cache: Cache, layers: int) -> Section:
        lines = caches.entry(record, cache, self.load.sharding)
        flops = cache.flops
        if self.expanded and cache.name == "attention" and part.expanded_form:
            flops = part.expanded_form.flops
            lines += (
                caches.applied((part.expanded_form.formula,), caches.symbols(record, self.load.sharding))
                if part.expanded_form.formula
                else [Line("f_entry", flops)]
            )
        lines += caches.pairs(cache.span, self.cached, self.new)
        moved = float(np.asarray(cache.span.prefill_traffic(np.float64(self.cached), np.float64(self.new))))
        lines.append(Line("moved", moved, "entries: those of C loaded once, those stored of P written"))
        letters = {"B_r": self.sequences, "f_entry": flops, "pairs": float(lines[-2].value), "entry": cache.entry_bytes, "moved": moved}
        lines += [line(work(operations.attention_op, what, letters)) for what in ("FLOPs", "bytes")]
        return Section(f"{name}, {layers} layers", (*lines, *self.times(name, lines, cache.role, "kv", layers)))

    def state(self, name: str, state: Recurrence, layers: int) -> Section:
        letters = {"q": self.new, "f_state": state.flops, "N_s": state.elements, "b": state.bytes_per_element}
        lines = [line(work(decode_operations.state_update_op, what, letters, f"{what} of one sequence")) for what in ("FLOPs", "bytes")]
        return Section(f"{name}, {layers} layers", (*lines, *self.times(name, lines, "state", "state", layers, self.sequences)))


def prefill(deployment: Deployment, new: float, cached: float, batch: float) -> tuple[list[Section], float]:
    """The sections that explain a prefill in one step, and its seconds as evaluated from them."""
    first = Section("Prompt", (Line("P", new, "new tokens of each sequence"), Line("C", cached, "cached tokens")))
    sections = [first, shares(deployment, cached + new, batch, new)]
    seconds: list[float] = []
    for index, stage in enumerate(deployment.stages):
        working = PrefillWorking(deployment, stage, new, cached, batch)
        own = working.sections()
        if deployment.layout.pp > 1:
            own.insert(0, working.heading(index))
        sections += own
        seconds += [working.seconds] * stage.count
    if (request := overhead.request_seconds(deployment)) and deployment.layout.pp == 1:
        summed = total("TTFT", [seconds[0], request], "s")
        return [*sections, Section("Request", (summed,), REQUEST)], float(summed.value)
    if deployment.layout.pp == 1:
        return sections, seconds[0]
    seconds += [request] if request else []
    summed = total("TTFT", seconds, "s")
    if not deployment.assumptions.is_bound:
        return [*sections, Section("Pipeline", (summed,), "the sum of the stages")], float(summed.value)
    through = float(summed.value)
    pieces = float(pieces_at_once(deployment, np.float64(new), np.float64(cached), np.float64(batch), np.float64(through)))
    both = (summed._replace(what="sum of the stages"), Line("TTFT", through / pieces, "s", "", f"{number(through)}/{number(pieces)}"))
    words = "bound: small enough pieces of the prompts fill the pipeline, and the last token passes every stage after them"
    return [*sections, Section("Pipeline", both, words)], through / pieces
