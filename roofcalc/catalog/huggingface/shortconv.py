"""LFM2: short convolutions in most layers, attention in some; experts in the larger sizes."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def lfm2(config: Config) -> Plan:
    """LFM2 dense; an automatically adjusted width is two thirds of the given one, rounded up to a multiple."""
    width = config.count("block_ff_dim", "intermediate_size")
    multiple = config.count("block_multiple_of", default=256)
    if config.flag("block_auto_adjust_ff_dim", default=True):
        factor = config.number("block_ffn_dim_multiplier", 1e-3, 1e3) if config.has("block_ffn_dim_multiplier") else 1.0
        width = -(-int(factor * int(2 * width / 3)) // multiple) * multiple
    config.ignore("block_ffn_dim_multiplier")
    return Plan(_layers(config, [("", parts.network(width))] * parts.depth(config)))


def lfm2_moe(config: Config) -> Plan:
    """LFM2 MoE: dense layers first, then experts with a router bias."""
    count = parts.depth(config)
    first = config.count("num_dense_layers", low=0, high=count)
    routed = parts.experts(config, config.count("moe_intermediate_size"), router_bias=config.flag("use_expert_bias"))
    return Plan(_layers(config, parts.dense_or_moe([i >= first for i in range(count)], parts.dense(config), routed)))


def _layers(config: Config, networks: list[tuple[str, Part]]) -> list[Layer]:
    """Layers with attention by the list, else with a short convolution."""
    count, width = parts.depth(config), parts.hidden(config)
    parts.expect(config, conv_bias=False)
    for name in ("conv_dim", "conv_dim_out", "block_dim"):
        if config.count(name, default=width) != width:
            config.cannot(f"{name} other than the hidden size")
    config.ignore("num_heads", "block_use_swiglu", "block_use_xavier_init", "conv_use_xavier_init")
    config.ignore("block_mlp_init_scale", "block_out_init_scale", "use_pos_enc", "full_attn_idxs")
    types = parts.layer_types(config, count)
    if types is None:
        full = config.numbers("full_attn_idxs") or config.refuse("layer_types is missing (also known as full_attn_idxs)")
        types = [FULL if i in full else "conv" for i in range(count)]
    if not set(types) <= {FULL, "conv"}:
        config.cannot(f"a layer of kind {next(kind for kind in types if kind not in (FULL, 'conv'))!r}")
    attention = parts.gqa(config, qk_norm="head")
    state: Part = {"type": "short_convolution", "width": width, "conv": config.count("conv_L_cache")}
    return [
        Layer("full", {"attention": attention}, *each) if kind == FULL else Layer("conv", {"state": state}, *each)
        for kind, each in zip(types, networks, strict=True)
    ]
