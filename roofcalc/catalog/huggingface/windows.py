"""Models with alternating sliding-window and full attention."""

from roofcalc.catalog.huggingface import dense, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL, SLIDING
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def every(count: int, period: int) -> list[str]:
    """Full attention in every `period`-th layer, a sliding window in the others."""
    return [FULL if (i + 1) % period == 0 else SLIDING for i in range(count)]


def gpt_oss(config: Config) -> Plan:
    """gpt-oss: attention sinks, biases everywhere, alternating windowed and full layers."""
    count = parts.depth(config)
    bias = config.flag("attention_bias", default=True)
    attention = parts.gqa(config, "qkvo" if bias else "none", sinks=True)
    types = parts.layer_types(config, count) or every(count, 2)
    routed = parts.experts(config, config.count("intermediate_size"), bias=True)
    return Plan(parts.stack(parts.spans(config, attention, types, parts.window(config)), [("", routed)] * count))


def cohere2(config: Config) -> Plan:
    """Command R7B and later: parallel layers, every fourth with full attention."""
    config.ignore("layer_switch", "order_of_interleaved_layers", "position_embedding_type")
    parts.expect(
        config, use_embedding_sharing=True, use_gated_activation=True, use_parallel_block=True, use_parallel_embedding=False, use_qk_norm=False
    )
    pattern = every(parts.depth(config), config.count("sliding_window_pattern", "_sliding_window_pattern", default=4))
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    model_layers = dense.layers(config, attention, parts.dense(config), parts.window(config), pattern)
    return Plan(model_layers, {"norms": 1, "parallel": True})


def exaone4(config: Config) -> Plan:
    """EXAONE 4: QK norm, post-norms; every fourth layer has full attention if there is a window."""
    size = parts.window(config)
    otherwise = exaone_spans(config, size)
    return Plan(dense.layers(config, parts.gqa(config, parts.biased(config, "qkvo"), "head"), parts.dense(config), size, otherwise))


def exaone_spans(config: Config, size: int | None) -> list[str] | None:
    """Layer kinds by `sliding_window_pattern`: full attention in every n-th layer, or a repeated string of L and G."""
    count, (name, pattern) = parts.depth(config), config.first("sliding_window_pattern")
    if size is None or pattern is None:
        return None
    if isinstance(pattern, str) and pattern and set(pattern) <= {"L", "G"}:
        return [SLIDING if pattern[i % len(pattern)] == "L" else FULL for i in range(count)]
    return every(count, config.count(name))


def olmo3(config: Config) -> Plan:
    """OLMo 3: OLMo 2 with a window in three of four layers."""
    pattern = every(parts.depth(config), 4)
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "full")
    return Plan(dense.layers(config, attention, parts.dense(config), parts.window(config), pattern))


def mimo_v2(config: Config) -> Plan:
    """MiMo V2: windowed layers with other heads and sinks, by a pattern of 0 (full) and 1."""
    count = parts.depth(config)
    config.ignore("attention_chunk_size", "attention_projection_layout")
    size = parts.window(config, "sliding_window", "sliding_window_size")
    full = parts.gqa(config, parts.biased(config, "qkv"))
    local = {**full, **_other_heads(config)}
    if local.get("v_dim") == local["head_dim"]:
        del local["v_dim"]
    full.update({"sinks": True} if config.flag("add_full_attention_sink_bias") else {})
    local.update({"sinks": True} if config.flag("add_swa_attention_sink_bias", "add_sliding_attention_sink_bias", default=True) else {})
    pattern = config.per_layer(config.numbers("hybrid_layer_pattern"), "hybrid_layer_pattern", count)
    types = [SLIDING if one else FULL for one in pattern] if pattern is not None else parts.layer_types(config, count)
    which = parts.sparse(config, count)
    if types is None or which is None:
        config.refuse("hybrid_layer_pattern and moe_layer_freq are missing (also known as layer_types and mlp_layer_types)")
    config.ignore("hybrid_block_size")
    width = config.count("moe_intermediate_size")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=True)
    thin = parts.dense(config)
    mixers = parts.spans(config, full, types, size, local)
    predicts = Layer("local", {"attention": {**local, **({"window": size} if size else {})}}, "dense", thin)
    heads = config.count(*parts.MTP, low=0, default=0)
    config.ignore("topk_method", "n_group", "topk_group")
    return Plan(parts.stack(mixers, parts.dense_or_moe(which, thin, routed)), predicts=predicts, heads=heads)


def _other_heads(config: Config) -> Part:
    """Head counts and sizes of the windowed layers, if given separately."""
    names = {"heads": "swa_num_attention_heads", "kv_heads": "swa_num_key_value_heads", "head_dim": "swa_head_dim", "v_dim": "swa_v_head_dim"}
    return {field: value for field, name in names.items() if (value := config.maybe(name)) is not None}


def step3p5(config: Config) -> Plan:
    """Step 3.5 Flash: more query heads in windowed layers, a scalar gate per head, experts in the listed layers."""
    count, spare = parts.depth(config), config.count(*parts.MTP, low=0, default=0)
    config.ignore("rope_theta", "partial_rotary_factors", "yarn_only_types", "use_rope_layers", "zero_centered", "sink")
    qk_norm = config.flag("use_qk_norm", default=True)
    gate = {"head_gate": True} if config.flag("use_head_wise_attn_gate", default=True) else {}
    full = parts.gqa(config, parts.biased(config, "qkvo"), "head" if qk_norm else "none", **gate)
    other = config.section("attention_other_setting")
    local = full
    if other:
        other.ignore("attention_type", "true_head_dim")
        local = {
            **full,
            "heads": other.count("num_attention_heads", default=full["heads"]),
            "kv_heads": other.count("num_attention_groups", "num_key_value_heads", default=full["kv_heads"]),
            "head_dim": other.count("head_dim", default=full["head_dim"]),
        }
    sliding = config.maybe("num_sliding_attention_heads")
    if sliding:
        local = {**local, "heads": sliding}
    types = parts.layer_types(config, count, spare) or config.refuse("layer_types is missing")
    first = config.maybe("first_k_dense_replace", low=0)
    which = parts.sparse(config, count, spare) or (parts.after(config, count, first) if first is not None else listed(config, count))
    width = config.count("moe_intermediate_size")
    config.ignore("use_moe", "n_shared_experts", "use_moe_router_bias", "need_fp32_gate", "moe_every_n_layer", "moe_layer_offset")
    routed = parts.experts(config, width, config.count("share_expert_dim", "share_expert_dims", low=0, default=0), router_bias=True)
    mixers = parts.spans(config, full, types, parts.window(config), local)
    remarks: tuple[str, ...] = (f"The {spare} MTP layers are omitted: the config does not describe them.",) if spare else ()
    if not other and not sliding and "sliding_attention" in types:
        remarks += ("The config gives the windowed layers no heads of their own; the released models have more.",)
    return Plan(parts.stack(mixers, parts.dense_or_moe(which, parts.dense(config), routed)), remarks=remarks)


def listed(config: Config, count: int) -> list[bool]:
    """Which layers have experts, by a list of numbers or comma-separated text."""
    _, value = config.first("moe_layers_enum")
    try:
        which = {int(one) for one in (value.split(",") if isinstance(value, str) else value)}
    except (TypeError, ValueError):
        config.refuse("moe_layers_enum: expected comma-separated layer numbers")
    return [i in which for i in range(count)]


def step3(config: Config) -> Plan:
    """Step 3: low-rank queries, one KV head; experts in the listed layers."""
    count = parts.depth(config)
    attention = parts.gqa(config, q_rank=config.count("share_q_dim"))
    config.ignore("max_position_embedding")
    width = config.count("moe_intermediate_size")
    routed = parts.experts(config, width, config.count("share_expert_dim", low=0, default=0))
    return Plan(parts.stack([("", attention)] * count, parts.dense_or_moe(listed(config, count), parts.dense(config), routed)))
