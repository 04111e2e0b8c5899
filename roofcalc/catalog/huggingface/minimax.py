"""MiniMax: lightning attention (Text-01), QK norm over all heads (M2), block-sparse attention (M3)."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.linear import LINEAR, kinds
from roofcalc.catalog.huggingface.moe import uniform
from roofcalc.catalog.huggingface.parts import FULL
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def minimax_text(config: Config) -> Plan:
    """MiniMax-Text-01: lightning attention where `attn_type_list` is 0 or by layer_types."""
    count = parts.depth(config)
    listed = config.per_layer(config.numbers("attn_type_list"), "attn_type_list", count)
    types = [FULL if one else LINEAR for one in listed] if listed is not None else kinds(config, count, None)
    config.ignore(
        "postnorm", "shared_moe_mode", "attn_window_size", "sliding_window", "block_size", "full_attn_alpha_factor", "full_attn_beta_factor"
    )
    config.ignore("linear_attn_alpha_factor", "linear_attn_beta_factor", "mlp_alpha_factor", "mlp_beta_factor")
    attention = parts.gqa(config)
    state: Part = {"type": "lightning", "heads": attention["heads"], "head_dim": attention["head_dim"]}
    shared = config.count("shared_intermediate_size", low=0, default=0)
    routed = parts.experts(config, config.count("intermediate_size"), shared)
    full, linear = Layer("full", {"attention": attention}, "", routed), Layer("linear", {"state": state}, "", routed)
    model_layers = [full if kind == FULL else linear for kind in types]
    return Plan(model_layers)


def minimax_m2(config: Config) -> Plan:
    """MiniMax-M2: QK norm over all heads; the MTP modules of the config are not part of the published checkpoints."""
    kind = config.text("qk_norm_type") or "per_layer"
    if kind not in ("per_layer", "per_head"):
        config.cannot(f"qk_norm_type {kind!r}")
    qk_norm = {"per_layer": "full", "per_head": "head"}[kind] if config.flag("use_qk_norm", default=True) else "none"
    width = config.count("intermediate_size")
    shared = config.count("shared_intermediate_size", low=0, default=0)
    attn_types = config.numbers("attn_type_list")
    if attn_types is not None and not all(attn_types):
        config.cannot("linear attention in this type (attn_type_list)")
    config.ignore("shared_moe_mode")
    modules = config.count("num_mtp_modules", low=0, default=0) if config.flag("use_mtp") else 0
    config.ignore("num_mtp_modules", "mtp_transformer_layers", "use_mtp")
    plan = uniform(config, parts.gqa(config, qk_norm=qk_norm), parts.experts(config, width, shared, router_bias=config.flag("use_routing_bias")))
    remark = (f"The config has {modules} MTP modules; they are omitted because the published checkpoints do not contain them.",) if modules else ()
    return plan._replace(remarks=remark)


def minimax_m3(config: Config) -> Plan:
    """MiniMax-M3: sparse attention over top-k blocks chosen by index heads, full attention in the first layers, by lists of 0 and 1."""
    count = parts.depth(config)
    if config.flag("attention_output_gate"):
        config.cannot("an output gate in this type (attention_output_gate)")
    kind = config.text("qk_norm_type") or "per_head"
    config.ignore("use_gemma_norm", "num_mtp_modules", *parts.MTP)
    qk_norm = {"per_head": "head", "per_layer": "full"}.get(kind) or config.cannot(f"qk_norm_type {kind!r}")
    full = parts.gqa(config, qk_norm=qk_norm if config.flag("use_qk_norm", default=True) else "none")
    which = parts.sparse(config, count) or config.refuse("moe_layer_freq is missing (also known as mlp_layer_types)")
    choice = config.section("sparse_attention_config")
    chosen = [False] * count
    if choice and choice.flag("use_sparse_attention", default=True):
        frequencies = choice.per_layer(choice.numbers("sparse_attention_freq"), "sparse_attention_freq", count)
        chosen = [bool(one) for one in frequencies or choice.refuse("sparse_attention_freq is missing")]
        choice.ignore("sparse_disable_index_value", "sparse_score_type")
        if choice.count("sparse_init_block", low=0, default=0):
            choice.cannot("blocks at the beginning (sparse_init_block)")
        blocks = {
            "size": choice.count("sparse_block_size"),
            "top_k": choice.count("sparse_topk_blocks"),
            "local": choice.count("sparse_local_block"),
            "heads": choice.count("sparse_num_index_heads"),
            "dim": choice.count("sparse_index_dim"),
        }
    mixing = [("sparse", {**full, "blocks": blocks}) if one else ("full", full) for one in chosen]
    width = config.count("moe_intermediate_size", "intermediate_size")
    shared = config.count("shared_intermediate_size") * config.count("n_shared_experts", default=1)
    routed = parts.experts(config, width, shared, router_bias=config.flag("use_routing_bias", default=True))
    thin = parts.network(config.count("dense_intermediate_size", default=width))
    config.ignore("first_k_dense_replace")
    remark = "MTP modules are omitted because the published checkpoints do not contain them."
    return Plan(parts.stack(mixing, parts.dense_or_moe(which, thin, routed)), remarks=(remark,))
