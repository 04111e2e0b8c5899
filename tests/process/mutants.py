"""Formulas known to be wrong, each shipped by some calculator: patched in at run time to see the suite turn red."""

from collections.abc import Callable
from typing import Any

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.commands import frontier
from roofcalc.commands import prefill as prefill_command
from roofcalc.deployment.deployment import Deployment, Draft
from roofcalc.physics import adapters, decode_ops, gemm_time, generation, kv_span, kv_storage, load, memory, prefill, prompt_cache, roofline, serving
from roofcalc.physics.chunk_time import Added
from roofcalc.physics.ops import ffn, mla, registry
from roofcalc.physics.ops import gqa as attention_operations
from roofcalc.physics.ops.gemm import gemms
from roofcalc.physics.ops.types import Cache
from roofcalc.solvers.planner import deadlines, demand, select, usual
from roofcalc.specs.attention import GQA
from roofcalc.specs.device import Link
from roofcalc.specs.feedforward import Experts, _network
from roofcalc.specs.image_rules import Rows
from roofcalc.specs.model import Model
from roofcalc.specs.record import replace
from roofcalc.specs.vision import Vision


def _changed(one: Any, **factors: float) -> Any:
    """An operation with some figures times a factor."""
    return replace(one, **{name: getattr(one, name) * factor for name, factor in factors.items()})


def kv_per_query_head() -> None:
    def entry_elements(self: GQA, tp: int = 1) -> int:
        return self.heads // tp * (self.head_dim + self.value_dim)

    GQA.entry_elements = entry_elements  # type: ignore[method-assign]
    GQA.cached_elements = lambda self, tp=1, one_vector=False: entry_elements(self, tp)  # type: ignore[method-assign]


def kv_zero_beyond_the_heads() -> None:
    GQA.kv_heads_on_device = lambda self, tp: self.kv_heads // tp  # type: ignore[method-assign]


def weights_read_once_per_sequence() -> None:
    def wrong(*args: Any) -> Any:
        return [one._replace(weights=0.0, activation_bytes=one.weights) for one in gemms(*args)]

    decode_ops.gemms = wrong  # type: ignore[attr-defined]


def weights_never_amortised() -> None:
    seconds = roofline.Step.seconds
    roofline.Step.seconds = lambda self, batch: batch * seconds(self, 1)  # type: ignore[method-assign]


def attention_without_flops() -> None:
    attention_op = decode_ops.attention_op
    decode_ops.attention_op = lambda *args, **given: _changed(attention_op(*args, **given), flops=0.0)


def cache_written_back() -> None:
    attention_op = decode_ops.attention_op
    decode_ops.attention_op = lambda *args, **given: _changed(attention_op(*args, **given), bytes=2.0)


def sparse_peaks() -> None:
    flop_per_s = Deployment.flop_per_s
    Deployment.flop_per_s = lambda self, name: (rate := flop_per_s(self, name)) and 2 * rate  # type: ignore[method-assign]


def _of_every_block(change: Callable[[Model, GQA], GQA]) -> None:
    """Models as the catalog gives them, with each grouped-query attention changed."""
    read = lookup.model

    def wrong(*args: Any) -> tuple[Model, list[str]]:
        model, notes = read(*args)
        blocks = {
            name: replace(block, attention=change(model, block.attention)) if isinstance(block.attention, GQA) else block
            for name, block in model.blocks.items()
        }
        return replace(model, blocks=blocks), notes

    lookup.model = wrong


def head_dim_derived() -> None:
    _of_every_block(lambda model, attention: replace(attention, head_dim=model.hidden // attention.heads))


def windows_on_every_layer() -> None:
    def widest(model: Model) -> int | None:
        found = [block.attention.window for block in model.blocks.values() if isinstance(block.attention, GQA) and block.attention.window]
        return max(found, default=None)

    _of_every_block(lambda model, attention: replace(attention, window=widest(model), chunk=None, blocks=None) if widest(model) else attention)


def windows_on_no_layer() -> None:
    _of_every_block(lambda model, attention: replace(attention, window=None, chunk=None))


def block_choice_reads_everything() -> None:
    _of_every_block(lambda model, attention: replace(attention, blocks=None))


def borrowed_caches_held_again() -> None:
    kv_storage.SharedKV.entries_stored = lambda self, seq: seq  # type: ignore[method-assign]


def experts_of_one_token_at_any_batch() -> None:
    ffn.expected_active_experts = lambda routed, tokens: routed.top_k * routed.experts / routed.routed + 0.0 * tokens  # type: ignore[assignment]


def all_experts_always() -> None:
    ffn.expected_active_experts = lambda routed, tokens: routed.experts + 0.0 * tokens  # type: ignore[assignment]


def experts_hit_never_twice() -> None:
    ffn.expected_active_experts = lambda routed, tokens: np.minimum(tokens * routed.top_k, routed.experts)  # type: ignore[assignment]


def imbalance_without_end() -> None:
    def wrong(routed: Any, load: float, tokens: Any) -> Any:
        return load * ffn.expected_active_experts(routed, tokens)

    ffn.expected_experts_read = decode_ops.expected_experts_read = gemm_time.expected_experts_read = wrong  # type: ignore[assignment,attr-defined]


def every_expert_counts_as_real() -> None:
    kind = registry.KINDS[Experts]

    def wrong(network: Experts, *rest: Any) -> Any:
        part = kind(network, *rest)
        return replace(part, routed=replace(part.routed, routed=network.experts))

    registry.KINDS[Experts] = wrong


def latent_experts_at_full_width() -> None:
    Experts.expert = lambda self, hidden, copies=1: _network("expert_", hidden, self.width, self.plain, "experts", copies)  # type: ignore[method-assign]


def experts_always_divide() -> None:
    def held(routed: Any, sharding: Any) -> float:
        return float((routed.experts + sharding.redundant) / (sharding.ep if sharding.ep > 1 else sharding.group))

    ffn.held_experts = memory.held_experts = held  # type: ignore[assignment,attr-defined]


def replicated_router_divided() -> None:
    around = Experts.around

    def wrong(self: Experts, hidden: int, tp: int = 1) -> Any:
        return tuple(one._replace(cols=-(-one.cols // tp)) if one.name == "router" else one for one in around(self, hidden, tp))

    Experts.around = wrong  # type: ignore[method-assign]


def exchange_without_network() -> None:
    decode_ops.expert_all_to_all = lambda *args: []  # type: ignore[assignment]


def latent_cache_divided_by_ranks() -> None:
    whole = mla.latent_bytes
    mla.latent_bytes = lambda attention, sharding: whole(attention, sharding) / sharding.tp  # type: ignore[assignment]


def rotary_part_dropped() -> None:
    mla.latent_bytes = lambda attention, sharding: attention.kv_rank * sharding.kv_bytes  # type: ignore[assignment]


def latents_kept_as_heads() -> None:
    mla.latent_bytes = lambda attention, sharding: (
        attention.heads // sharding.tp * (attention.nope_dim + attention.rope_dim + attention.v_dim) * sharding.kv_bytes
    )  # type: ignore[assignment]


def narrow_latents_without_scales() -> None:
    mla.latent_bytes = lambda attention, sharding: (attention.kv_rank + attention.rope_dim) * sharding.kv_bytes  # type: ignore[assignment]


def indexer_for_nothing() -> None:
    def free(index: Any, candidates: Any, sharding: Any) -> Cache:
        return Cache("index", candidates, 0.0, 0.0, "index")

    attention_operations.index_cache = mla.index_cache = free  # type: ignore[assignment,attr-defined]


def pools_not_compressed() -> None:
    kv_span.Pool.entries_read = lambda self, seq: seq  # type: ignore[method-assign]


def state_read_and_not_written() -> None:
    state_update_op = decode_ops.state_update_op
    decode_ops.state_update_op = lambda *args, **given: _changed(state_update_op(*args, **given), bytes=0.5)


def links_of_both_directions() -> None:
    bytes_per_s = Link.bytes_per_s
    Link.bytes_per_s = lambda self, group: 2 * bytes_per_s(self, group)  # type: ignore[method-assign]


def requests_without_their_first_token() -> None:
    right = load.batch_in_flight

    def wrong(rate: Any, of: Callable[[Any], Any], wait_s: Any, osl: Any, limit: Any) -> Any:
        def idle(batch: Any) -> Any:
            one = of(batch)
            return one._replace(prompt=one.prompt and one.prompt._replace(own_s=np.zeros_like(one.ttft_s)))

        return right(rate, idle, wait_s, osl, limit)

    load.batch_in_flight = wrong  # type: ignore[assignment]


def prompts_read_for_nothing() -> None:
    load.rate_of = lambda paced, of, batch, one: np.asarray(batch / (paced.answer * one.decode_s))  # type: ignore[assignment]


def mixes_held_by_requests() -> None:
    demand.Demand.shares = property(lambda self: np.broadcast_to(self.parts, self.isl.shape))  # type: ignore[assignment,method-assign]


def pools_of_equal_size() -> None:
    frontier.disaggregated_throughput = lambda rate, osl, decoding: np.minimum(rate * osl, decoding) / 2  # type: ignore[assignment]


def spare_devices_and_not_replicas() -> None:
    chosen = select.choices

    def wrong(demand: Any, inventory: Any, piece: Any) -> Any:
        return chosen(demand, inventory._replace(spares=inventory.spares / piece.deployment.hardware.count), piece)

    select.choices = wrong


def layouts_by_what_they_could_carry() -> None:
    def wrong(demand: Any, one: Any, batch: Any) -> Any:
        return one.most

    select._speed = wrong


def every_layout_is_usual() -> None:
    usual.layout_class = lambda layout, domain, most, given=(): usual.DOMAIN


def answers_without_their_first_token() -> None:
    right = deadlines.latency_s

    def wrong(demand: Any, step: Any, batch: Any, first_s: Any, wait_s: Any) -> Any:
        return right(demand, step, batch, 0.0 * first_s, 0.0)

    deadlines.latency_s = wrong
    deadlines.last_s = lambda need, at: np.asarray((need.osl * at.served.tpot_s[..., np.newaxis]).max(axis=-1))  # type: ignore[assignment]


def prompts_of_others_forgotten() -> None:
    right = serving.ServedStep.served

    def wrong(self: Any, batch: Any) -> Any:
        found = right(self, batch)
        return found._replace(tpot_s=found.decode_s)

    serving.ServedStep.served = wrong  # type: ignore[method-assign]


def chunks_read_the_weights_again() -> None:
    right = serving.added_s

    def wrong(deployment: Any, mean: Any, batch: Any, *rest: Any) -> Any:
        again = np.asarray(mean.seconds(batch))[..., np.newaxis]
        return Added(*(one + again for one in right(deployment, mean, batch, *rest)))

    serving.added_s = wrong


def first_token_of_an_idle_machine() -> None:
    right = serving.ServedStep.served

    def wrong(self: Any, batch: Any) -> Any:
        found = right(self, batch)
        return found._replace(ttft_s=found.ttft_idle_s)

    serving.ServedStep.served = wrong  # type: ignore[method-assign]


def system_prompt_kept_by_every_request() -> None:
    memory.kept_by_stage = lambda one, seq: [memory.Kept(np.zeros_like(kept), kept) for kept in memory._kept(one, one.stages, seq)]


def system_prompt_loaded_by_every_request() -> None:
    roofline.Step.sequence_terms = lambda self, sequences: (self.per_sequence, sequences)  # type: ignore[method-assign]


def found_tokens_out_of_sight() -> None:
    prompt_cache.recent_prefill = lambda one, new, cached, *rest: prefill.prefill(one, new, 0.0, *rest)  # type: ignore[attr-defined]


def hits_of_the_whole_prompt() -> None:
    def wrong(deployment: Any, isl: Any) -> Any:
        return np.minimum(np.floor(np.asarray(isl, dtype=float) * max(deployment.assumptions.hit_rate, 0.0)), np.maximum(isl - 1.0, 0.0))

    prompt_cache.found_tokens = wrong  # type: ignore[assignment]
    prefill_command.found_tokens = wrong  # type: ignore[attr-defined]


def drafts_for_nothing() -> None:
    generation.SpeculativeStep.seconds = lambda self, batch: np.asarray(self.verify.seconds(batch))  # type: ignore[method-assign]


def heads_without_weight() -> None:
    memory._drafters = lambda deployment: []


def accepted_drafts_without_the_targets_token() -> None:
    Draft.accepted = property(lambda self: sum(self.acceptance**n for n in range(1, self.tokens + 1)))  # type: ignore[assignment]


# Each with words that mark tests which are about it by name: those do not count.
def images_encoded_for_nothing() -> None:
    operations = prefill.tower_operations  # type: ignore[attr-defined]
    prefill.tower_operations = lambda *args: [_changed(one, flops=0.0) for one in operations(*args)]  # type: ignore[attr-defined]


def one_image_encoded_of_many() -> None:
    operations = prefill.tower_operations  # type: ignore[attr-defined]

    def wrong(deployment: Deployment, *args: Any) -> Any:
        count = deployment.images.count if deployment.images else 1
        return [_changed(one, flops=1 / count) for one in operations(deployment, *args)]

    prefill.tower_operations = wrong  # type: ignore[attr-defined]


def all_patches_see_each_other() -> None:
    attention_flops = Vision.attention_flops
    Vision.attention_flops = lambda self, one: attention_flops(replace(self, window=None, full=None), one)  # type: ignore[method-assign]


def rows_of_patches_without_their_ends() -> None:
    encode = Rows.encode

    def wrong(*args: Any) -> Any:
        found = encode(*args)
        return found._replace(tokens=found.merged)

    Rows.encode = wrong  # type: ignore[method-assign]


def adapters_without_memory() -> None:
    memory.adapter_bytes = lambda *args: 0.0  # type: ignore[attr-defined]


def adapters_all_read_in_every_step() -> None:
    adapters.adapters_used = lambda lora, sequences: lora.count + 0.0 * sequences


def adapters_of_half_a_pair() -> None:
    elements = adapters.adapter_elements
    adapters.adapter_elements = lambda *args: elements(*args) / 2


MUTANTS: dict[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "kv_per_query_head": (kv_per_query_head, ("kv_bytes", "heads", "head_dim")),
    "kv_zero_beyond_the_heads": (kv_zero_beyond_the_heads, ("heads_that_outnumber", "replicat")),
    "weights_read_once_per_sequence": (weights_read_once_per_sequence, ("weights_once", "reads_weights")),
    "weights_never_amortised": (weights_never_amortised, ("amorti",)),
    "attention_without_flops": (attention_without_flops, ("attention_flops", "sdpa")),
    "cache_written_back": (cache_written_back, ("written", "cache_once")),
    "sparse_peaks": (sparse_peaks, ("sparse", "sheet", "peak")),
    "head_dim_derived": (head_dim_derived, ("head_dim",)),
    "windows_on_every_layer": (windows_on_every_layer, ("window",)),
    "windows_on_no_layer": (windows_on_no_layer, ("window", "chunk")),
    "block_choice_reads_everything": (block_choice_reads_everything, ("choice",)),
    "borrowed_caches_held_again": (borrowed_caches_held_again, ("again",)),
    "experts_of_one_token_at_any_batch": (experts_of_one_token_at_any_batch, ("distinct", "experts_hit")),
    "all_experts_always": (all_experts_always, ("distinct", "experts_hit")),
    "experts_hit_never_twice": (experts_hit_never_twice, ("distinct", "experts_hit")),
    "imbalance_without_end": (imbalance_without_end, ("imbalance",)),
    "every_expert_counts_as_real": (every_expert_counts_as_real, ("zero_experts", "real")),
    "latent_experts_at_full_width": (latent_experts_at_full_width, ("width",)),
    "experts_always_divide": (experts_always_divide, ("ceil",)),
    "replicated_router_divided": (replicated_router_divided, ("router",)),
    "exchange_without_network": (exchange_without_network, ("exchange", "network")),
    "latent_cache_divided_by_ranks": (latent_cache_divided_by_ranks, ("copies",)),
    "rotary_part_dropped": (rotary_part_dropped, ("rotary", "rope")),
    "latents_kept_as_heads": (latents_kept_as_heads, ("latent",)),
    "narrow_latents_without_scales": (narrow_latents_without_scales, ("scale",)),
    "indexer_for_nothing": (indexer_for_nothing, ("index",)),
    "pools_not_compressed": (pools_not_compressed, ("pool", "compress")),
    "state_read_and_not_written": (state_read_and_not_written, ("written", "state")),
    "links_of_both_directions": (links_of_both_directions, ("direction", "duplex")),
    "requests_without_their_first_token": (requests_without_their_first_token, ("little",)),
    "prompts_read_for_nothing": (prompts_read_for_nothing, ("prompts",)),
    "mixes_held_by_requests": (mixes_held_by_requests, ("mixes",)),
    "every_layout_is_usual": (every_layout_is_usual, ("usual", "layout")),
    "answers_without_their_first_token": (answers_without_their_first_token, ("first_token",)),
    "pools_of_equal_size": (pools_of_equal_size, ("ratio",)),
    "spare_devices_and_not_replicas": (spare_devices_and_not_replicas, ("spare",)),
    "prompts_of_others_forgotten": (prompts_of_others_forgotten, ("others",)),
    "chunks_read_the_weights_again": (chunks_read_the_weights_again, ("again", "weights")),
    "first_token_of_an_idle_machine": (first_token_of_an_idle_machine, ("idle",)),
    "system_prompt_kept_by_every_request": (system_prompt_kept_by_every_request, ("kept",)),
    "system_prompt_loaded_by_every_request": (system_prompt_loaded_by_every_request, ("loaded",)),
    "found_tokens_out_of_sight": (found_tokens_out_of_sight, ("sight",)),
    "hits_of_the_whole_prompt": (hits_of_the_whole_prompt, ("hits",)),
    "drafts_for_nothing": (drafts_for_nothing, ("nothing",)),
    "heads_without_weight": (heads_without_weight, ("weight",)),
    "accepted_drafts_without_the_targets_token": (accepted_drafts_without_the_targets_token, ("accepted",)),
    "layouts_by_what_they_could_carry": (layouts_by_what_they_could_carry, ("fastest",)),
    "images_encoded_for_nothing": (images_encoded_for_nothing, ("nothing",)),
    "one_image_encoded_of_many": (one_image_encoded_of_many, ("image",)),
    "all_patches_see_each_other": (all_patches_see_each_other, ("patches",)),
    "rows_of_patches_without_their_ends": (rows_of_patches_without_their_ends, ("rows",)),
    "adapters_without_memory": (adapters_without_memory, ("adapter",)),
    "adapters_all_read_in_every_step": (adapters_all_read_in_every_step, ("adapter",)),
    "adapters_of_half_a_pair": (adapters_of_half_a_pair, ("adapter",)),
}
