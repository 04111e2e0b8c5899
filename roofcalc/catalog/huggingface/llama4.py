"""Llama 4: chunked and full attention, experts in every n-th layer."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import CHUNKED, FULL
from roofcalc.catalog.huggingface.plan import Plan


def llama4(config: Config) -> Plan:
    """Layers with rotary positions attend within a chunk, the others to everything; routed and shared experts in every n-th layer."""
    count = parts.depth(config)
    chunk, longest = config.maybe("attention_chunk_size"), parts.context(config)
    every = config.count("no_rope_layer_interval", default=4)
    rotated = config.numbers("no_rope_layers") or [int((i + 1) % every != 0) for i in range(count)]
    rotated = config.per_layer(rotated, "no_rope_layers", count) or []
    types = parts.layer_types(config, count) or [CHUNKED if one else FULL for one in rotated]
    config.ignore("use_qk_norm", "attn_temperature_tuning", "attn_scale", "floor_scale", "for_llm_compressor")
    full = parts.gqa(config, parts.biased(config, "qkvo"))
    mixers = {FULL: ("full", full), CHUNKED: ("chunked", {**full, "chunk": chunk})}
    if chunk is None or (longest is not None and chunk >= longest):
        mixers[CHUNKED] = mixers[FULL]
    if not set(types) <= set(mixers):
        config.cannot(f"a layer of kind {next(kind for kind in types if kind not in mixers)!r}")
    width, step = config.count("intermediate_size"), config.count("interleave_moe_layer_step", default=1)
    listed = config.numbers("moe_layers")
    which = [i in listed if listed else (i + 1) % step == 0 for i in range(count)]
    thin = parts.network(config.count("intermediate_size_mlp")) if not all(which) else None
    config.ignore("intermediate_size_mlp")
    routed = parts.experts(config, width, width)
    return Plan(parts.stack([mixers[kind] for kind in types], parts.dense_or_moe(which, thin, routed)))
