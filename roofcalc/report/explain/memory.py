"""Explains memory: weights by block and class of tensor, the cache of one sequence, and how many sequences fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics import engine_memory, offload
from roofcalc.physics import memory as physics
from roofcalc.physics.adapters import adapter_bytes, adapter_elements
from roofcalc.physics.decode_ops import storage_sharding
from roofcalc.physics.memory import batch_memory, kv_bytes, stored_bytes
from roofcalc.physics.ops import ffn
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import Part, Sharding
from roofcalc.report.explain import caches
from roofcalc.report.explain.formulas import work
from roofcalc.report.explain.render import Line, Section, line, total


def memory(deployment: Deployment, seq: float, batch: float | None = None) -> list[Section]:
    """Sections on the memory of one device of the fullest stage, and on the batch that fits."""
    seq = float(np.ceil(seq / deployment.kv_block) * deployment.kv_block)
    each = [_fitting(deployment, stage, seq) for stage in deployment.stages]
    sections, fitting = min(each, key=lambda one: one[1])
    if len(each) > 1:
        words = f"of {deployment.layout.pp} stages, the one with room for the fewest sequences"
        sections = [Section("Fullest stage", (Line("layers", sum(count for _, count in _fullest_stage(deployment, seq).groups)),), words), *sections]
    if batch is not None:
        answer = "yes" if fitting >= batch else "no"
        sections.append(Section("Fits", (Line(f"{batch:.0f} sequences fit", f"{answer}, {fitting:.0f} fit"),)))
    return sections


def _fullest_stage(deployment: Deployment, seq: float) -> Stage:
    return min(deployment.stages, key=lambda stage: _fitting(deployment, stage, seq)[1])


def _fitting(deployment: Deployment, stage: Stage, seq: float) -> tuple[list[Section], float]:
    assumed = deployment.assumptions
    weights, caches_ = _weights(deployment, stage), _cache(deployment, stage, seq)
    letters = {"capacity": deployment.capacity_bytes, "util": assumed.util or 1.0, "reserve": (assumed.reserve_gb or 0.0) * 1e9}
    usable = work(batch_memory, "usable", letters)
    letters = {"usable": usable.value, "weights": _value(weights), "KV": _value(caches_), "d": deployment.layout.dp}
    lines = [line(usable, "B")]
    if deployment.rules is not None:
        lines = _engine_lines(deployment, stage, seq)
        letters["usable"] = float(lines[-1].value) + letters["weights"]
    what = "batch_memory"
    if assumed.shared_prefix:
        what = "batch_memory, shared prefix"
        split = physics.kept_by_stage(deployment, seq)[deployment.stages.index(stage)]
        letters |= {"KV_prefix": float(split.once), "KV": float(split.each)}
        lines += [
            Line("KV_prefix", letters["KV_prefix"], f"B, once for the first {assumed.shared_prefix:,} tokens of all sequences"),
            Line("KV", letters["KV"], "B, of each sequence beyond them"),
        ]
    if letters["usable"] < letters["weights"]:
        words = "sequences: the weights do not fit" if deployment.rules is None else "sequences: weights, activations and runtime do not fit"
        return [weights, caches_, Section("Batch by memory", (*lines, Line("batch_memory", 0.0, words)))], 0.0
    if not letters["KV"]:
        return [weights, caches_, Section("Batch by memory", (*lines, Line("batch_memory", "no limit: sequences store no cache")))], float("inf")
    fits = work(batch_memory, what, letters, "batch_memory")
    if fits.value < 0:
        return [weights, caches_, Section("Batch by memory", (*lines, Line("batch_memory", 0.0, "sequences: the shared prefix does not fit")))], 0.0
    return [weights, caches_, Section("Batch by memory", (*lines, line(fits, "sequences")))], fits.value


def _engine_lines(deployment: Deployment, stage: Stage, seq: float) -> list[Line]:
    """Memory of one device under an engine's rules: usable, activations, runtime, and what is left for caches."""
    assert deployment.rules is not None
    budget, step = physics.budget(deployment, stage, seq), engine_memory.largest_step(deployment, seq)
    lines = [
        Line("usable", float(budget.usable), f"B, that {deployment.rules.name} takes of {deployment.capacity_bytes:.0f}"),
        Line("activations", float(budget.activations), f"B, of {float(step.tokens):.0f} tokens and {float(step.seqs):.0f} sampled sequences"),
        Line("runtime", budget.runtime, "B, context, graphs and communication buffers"),
    ]
    letters = {"usable": float(budget.usable), "weights": budget.weights, "activations": float(budget.activations), "runtime": budget.runtime}
    if deployment.rules.share_of == "rest":
        return [*lines, Line("cache", float(budget.cache), "B, the util fraction of what is left")]
    return [*lines, line(work(physics.budget, "cache", letters), "B")]


def _states(deployment: Deployment) -> dict[str, float]:
    drafts = float(deployment.draft.tokens) if deployment.draft else 0.0
    return {"drafts": drafts, "states": engine_memory.states_per_sequence(deployment) - drafts}


def _pages(deployment: Deployment, stage: Stage, page: engine_memory.Page, seq: float) -> Section:
    """Pages of one sequence on one device, where the engine groups layers in pages of equal size."""
    step = float(engine_memory.largest_step(deployment, seq).tokens)
    lines, terms = [Line("page", page.bytes, f"B, {page.layers} layers of {page.size:.0f} B")], []
    for groups, kind, tokens in page.groups:
        if kind.window == 0:
            what, letters = "state", _states(deployment)
        elif np.isinf(kind.window):
            what, letters = "whole context", {"S": seq, "block": tokens}
        else:
            what, letters = "window", {"S": seq, "block": tokens, "W": kind.window, "step_tokens": step}
        worked = work(engine_memory.blocks, what, letters, f"pages of {groups} group{'s' * (groups > 1)}: {what}")
        lines.append(line(worked, f"× {groups}"))
        terms.append(groups * worked.value * page.bytes)
    return Section(f"Cache of one sequence of {seq:.0f} tokens on one device", (*lines, total("KV", terms, "B")))


def _value(section: Section) -> float:
    value = section.lines[-1].value
    assert isinstance(value, (int, float))
    return float(value)


def _weights(deployment: Deployment, stage: Stage) -> Section:
    """One line per block and class of tensor, and their sum."""
    model, tp, sharding = deployment.model, deployment.layout.tp, storage_sharding(deployment)
    lines: list[Line] = []

    def add(name: str, layers: int, elements: float, tensor: str) -> None:
        dtype = deployment.weight_dtype(tensor)
        letters = {"layers": layers, "elements": elements, "w": dtype.bytes_per_element}
        lines.append(line(work(stored_bytes, "weights", letters, name), f"B, {dtype.name}"))

    for name, count in stage.groups:
        block = model.blocks[name]
        layers = block.stored(count)
        found = parts(block, model.hidden, sharding)
        by_class: dict[str, float] = {}
        for matrix in (matrix for part in found for matrix in (*part.matrices, *part.unused)):
            by_class[matrix.tensor] = by_class.get(matrix.tensor, 0) + matrix.elements
        for tensor, elements in by_class.items():
            add(f"{name}: {tensor}", layers, elements, tensor)
        for part in found:
            lines += _experts(deployment, name, part, layers, sharding)
        add(f"{name}: norms and biases", layers, model.norm_vectors(block) + sum(part.vectors for part in found), "norm")
    if stage.first:
        add("embedding", 1, model.embedding(tp).elements, "embed")
        if model.extra_embed and not model.extra_embed.offload:
            add("extra embedding", 1, model.extra_embed.rows * model.extra_embed.dim / tp, "embed")
        if model.first_vectors:
            add("norms and tables before the first layer", 1, model.first_vectors, "norm")
        if model.excluded:
            add("other weights of the checkpoint, not modelled", 1, sum(model.excluded.values()) / tp, "norm")
    if (padding := engine_memory.padding_bytes(deployment, stage)) > 0:
        lines.append(Line("padding and copies", padding, "B, as the engine stores them"))
    if deployment.lora is not None:
        letters = {"count": deployment.lora.count, "r_elements": adapter_elements(deployment, stage, sharding)}
        lines.append(line(work(adapter_bytes, "adapters", letters, "LoRA adapters"), "B"))
    if stage.last:
        add("norms before the head", 1, model.last_vectors, "norm")
        if not (model.tied and stage.first):
            add("head", 1, model.head(tp).elements, "head")
    stored = sum(float(one.value) for one in lines)
    if away := offload.weights_in_host(deployment, stage, stored):
        lines.append(Line("in the host's memory", -away, "B, --offload"))
    words = "elements: of the tensor, on one device" + ("; the embedding is also the head" if model.tied and stage.first and stage.last else "")
    return Section("Weights of one device", (*lines, total("weights", [float(one.value) for one in lines], "B")), words)


def _experts(deployment: Deployment, name: str, part: Part, layers: int, sharding: Sharding) -> list[Line]:
    if part.routed is None:
        return []
    kind = "experts held, spread" if sharding.ep > 1 else "experts held, split"
    letters = {"E": part.routed.experts, "R": sharding.redundant, "e": sharding.ep, "g": sharding.group}
    held = line(work(ffn.held_experts, kind, letters, f"{name}: experts held"))
    elements = sum(matrix.elements for matrix in part.routed.matrices)
    dtype = deployment.weight_dtype(part.routed.matrices[0].tensor)
    worked = work(
        stored_bytes,
        "experts",
        {"layers": layers, "held": float(held.value), "elements": elements, "w": dtype.bytes_per_element},
        f"{name}: experts, {held.numbers} = {held.value:g} on each device",
    )
    return [line(worked, f"B, {dtype.name}")]


def _cache(deployment: Deployment, stage: Stage, seq: float) -> Section:
    """What one sequence keeps on one device."""
    if (page := engine_memory.grouped_pages(deployment, stage)) is not None:
        return _pages(deployment, stage, page, seq)
    model, sharding = deployment.model, storage_sharding(deployment)
    lines: list[Line] = []
    terms: list[float] = []
    for name, layers in stage.groups:
        block = model.blocks[name]
        records: tuple[Any, ...] = block.parts  # those with caches are attention
        for part, record in zip(parts(block, model.hidden, sharding), records, strict=True):
            for cache in part.caches:
                held = caches.held(deployment, cache.span, seq)
                entry = caches.entry(record, cache, sharding, flops=False)
                lines += [one._replace(what=f"{name}.{cache.name}: {one.what}") for one in (*entry, *caches.entries_read(cache.span, seq), held)]
                letters = {"layers": layers, "holds": float(held.value), "entry": cache.entry_bytes}
                lines.append(line(work(kv_bytes, "cache", letters, f"{name}.{cache.name}"), "B"))
                terms.append(float(lines[-1].value))
            if part.recurrence:
                letters = {"layers": layers, "N_s": part.recurrence.elements, "b": part.recurrence.bytes_per_element}
                lines.append(line(work(kv_bytes, "state", letters, f"{name}.state"), "B"))
                terms.append(float(lines[-1].value))
            if part.fixed_bytes:
                worked = work(kv_bytes, "kept", {"layers": layers, "kept": part.fixed_bytes}, f"{name}: convolutions and partial blocks")
                lines.append(line(worked, "B"))
                terms.append(worked.value)
    return Section(f"Cache of one sequence of {seq:.0f} tokens on one device", (*lines, total("KV", terms, "B")))
