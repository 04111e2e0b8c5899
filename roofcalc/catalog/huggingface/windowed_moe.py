"""Mixtures of experts whose layers alternate sliding-window and full attention: AFMoE, Laguna, Mellum, Granite, Command A."""

from roofcalc.catalog.huggingface import dense, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL, SLIDING
from roofcalc.catalog.huggingface.plan import Part, Plan
from roofcalc.catalog.huggingface.windows import every

_OF_DENSE = "prefix_dense_sliding_window_pattern"  # Command A's pattern of the dense layers at the start


def _mixers(config: Config, attention: Part, otherwise: list[str]) -> list[tuple[str, Part]]:
    """Attention of each layer by layer_types, else by `otherwise`."""
    types = parts.layer_types(config, parts.depth(config)) or otherwise
    return parts.spans(config, attention, types, parts.window(config))


def afmoe(config: Config) -> Plan:
    """AFMoE (Trinity): gated attention with QK norms, norms before and after each part, dense layers first."""
    count = parts.depth(config)
    config.ignore("num_expert_groups", "num_limited_groups", "score_func", "route_norm", "route_scale", "mup_enabled", "use_grouped_mm")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head", gate=True)
    mixers = _mixers(config, attention, every(count, config.count("global_attn_every_n_layers", default=4)))
    width, first = config.count("moe_intermediate_size"), config.count("num_dense_layers", low=0, high=count, default=1)
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=True)
    return Plan(parts.stack(mixers, parts.dense_or_moe(parts.after(config, count, first), parts.dense(config), routed)), {"norms": 4})


def laguna(config: Config) -> Plan:
    """Laguna: query heads by layer, one gate per head, QK norms; the first layer dense."""
    count = parts.depth(config)
    config.ignore(
        "decoder_sparse_step",
        "mlp_only_layers",
        "moe_apply_router_weight_on_input",
        "moe_router_use_sigmoid",
        "qk_norm_type",
        "swa_attention_sink_enabled",
        "swa_rope_parameters",
    )
    gating = config.values.get("gating", True)
    config.ignore("gating", "gating_types")
    kinds = {str(kind).replace("_", "-") for kind in (gating, *(config.values.get("gating_types") or ()))}
    if not kinds <= {"True", "per-head"}:
        config.cannot("a gate other than one per head (gating)")
    full = parts.gqa(config, parts.biased(config, "qkv"), "head", head_gate=True)
    heads = config.per_layer(config.numbers("num_attention_heads_per_layer"), "num_attention_heads_per_layer", count) or [full["heads"]] * count
    types = parts.layer_types(config, count) or [FULL] * count
    size = parts.window(config)
    spans = [parts.spans(config, {**full, "heads": own}, [kind], size)[0] for own, kind in zip(heads, types, strict=True)]
    width = config.count("moe_intermediate_size")
    which = parts.sparse(config, count) or _without(config, count)
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=True)
    return Plan(parts.stack(spans, parts.dense_or_moe(which, parts.dense(config), routed)))


def _without(config: Config, count: int) -> list[bool]:
    """Experts in every `decoder_sparse_step`-th layer except `mlp_only_layers`, by default all but the first."""
    step, dense_layers = config.count("decoder_sparse_step", default=1), config.numbers("mlp_only_layers")
    return [(i + 1) % step == 0 and i not in ([0] if dense_layers is None else dense_layers) for i in range(count)]


def mellum(config: Config) -> Plan:
    """Mellum 2: layers of Qwen 3 MoE, windowed by layer_types; MTP layers like the last layer."""
    count = parts.depth(config)
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    mixers = _mixers(config, attention, [FULL] * count)
    config.ignore("mtp_layer_types", "mtp_mlp_layer_types", "decoder_sparse_step", "mlp_only_layers", "max_window_layers")
    which = parts.sparse(config, count) or [True] * count
    routed = parts.experts(config, config.count("moe_intermediate_size"))
    layers = parts.stack(mixers, parts.dense_or_moe(which, None if all(which) else parts.dense(config), routed))
    config.ignore("intermediate_size")
    return Plan(layers, predicts=layers[-1], heads=config.count(*parts.MTP, low=0, default=0))


def granite_swa(config: Config) -> Plan:
    """Granite with windows: attention sinks, every fourth layer from the first with full attention."""
    mlp = parts.dense(config, bias=config.flag("mlp_bias"))
    return Plan(parts.stack(_granite_mixers(config), [("", mlp)] * parts.depth(config)))


def granitemoe_swa(config: Config) -> Plan:
    """The same with routed experts and an optional shared one."""
    shared = config.count("shared_intermediate_size", low=0, default=0)
    routed = parts.experts(config, config.count("intermediate_size"), shared)
    return Plan(parts.stack(_granite_mixers(config), [("", routed)] * parts.depth(config)))


def _granite_mixers(config: Config) -> list[tuple[str, Part]]:
    config.ignore("layer_rope_theta")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), sinks=True)
    return _mixers(config, attention, [FULL if i % 4 == 0 else SLIDING for i in range(parts.depth(config))])


def cohere2_moe(config: Config) -> Plan:
    """Command A with experts: parallel layers behind one norm; the first layers may be dense."""
    count = parts.depth(config)
    config.ignore("shared_expert_combination_strategy", "expert_selection_fn", "layer_switch", "position_embedding_type")
    parts.expect(config, use_gated_activation=True, use_parallel_block=True, use_qk_norm=False)
    period, of_dense = config.count("sliding_window_pattern", "_sliding_window_pattern", default=4), config.count(_OF_DENSE, default=1)
    width, first = config.count("intermediate_size"), config.count("first_k_dense_replace", low=0, high=count, default=0)
    which = parts.sparse(config, count) or parts.after(config, count, first)
    thin = parts.network(config.count("prefix_dense_intermediate_size", default=width))
    routed = parts.experts(config, width, parts.shared_width(config, width))
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    layers = dense.layers(config, attention, {}, parts.window(config), [*every(first, of_dense), *every(count - first, period)])
    mixers = [(layer.mixer, layer.mixing["attention"]) for layer in layers]
    return Plan(parts.stack(mixers, parts.dense_or_moe(which, thin, routed)), {"norms": 1, "parallel": True})
