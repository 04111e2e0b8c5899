"""Mixture-of-experts (MoE) models with grouped-query attention."""

from roofcalc.catalog.huggingface import dense, parts, windows
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Part, Plan


def mixers(config: Config, attention: Part) -> list[tuple[str, Part]]:
    """Attention of each layer: full, windowed by layer_types, or windowed in all layers."""
    return [(layer.mixer, layer.mixing["attention"]) for layer in dense.layers(config, attention, {}, parts.window(config))]


def uniform(config: Config, attention: Part, routed: Part, **fields: object) -> Plan:
    """Experts in every layer."""
    return Plan(parts.stack(mixers(config, attention), [("", routed)] * parts.depth(config)), fields)


def mixtral(config: Config) -> Plan:
    """Mixtral."""
    return uniform(config, parts.gqa(config), parts.experts(config, config.count("intermediate_size")))


def granitemoe(config: Config) -> Plan:
    """Granite MoE, with or without a shared expert."""
    shared = config.count("shared_intermediate_size", low=0, default=0)
    routed = parts.experts(config, config.count("intermediate_size"), shared)
    return uniform(config, parts.gqa(config, parts.biased(config, "qkvo")), routed)


def olmoe(config: Config) -> Plan:
    """OLMoE: QK norm over all heads."""
    config.ignore("clip_qkv")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "full")
    return uniform(config, attention, parts.experts(config, config.count("intermediate_size")))


def phimoe(config: Config) -> Plan:
    """Phi-3.5 MoE: biases in attention and on the LM head, norms with biases."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    fields = {"norm_bias": True, **({"head_bias": True} if config.flag("lm_head_bias") else {})}
    return uniform(config, attention, parts.experts(config, config.count("intermediate_size")), **fields)


def qwen_moe(config: Config, attention: Part) -> Plan:
    """Qwen MoE: experts in every `decoder_sparse_step`-th layer except `mlp_only_layers`."""
    count = parts.depth(config)
    width = config.count("moe_intermediate_size")
    shared = config.count("shared_expert_intermediate_size", low=0, default=0)
    routed = parts.experts(config, width, shared, shared_gate=shared > 0)
    step, without = config.count("decoder_sparse_step", default=1), config.numbers("mlp_only_layers") or []
    which = parts.sparse(config, count) or [(i + 1) % step == 0 and i not in without for i in range(count)]
    thin = parts.dense(config) if not all(which) else None
    config.ignore("intermediate_size")
    otherwise = dense.qwen_spans(config)
    model_layers = dense.layers(config, attention, {}, parts.window(config), otherwise)
    return Plan(parts.stack([(layer.mixer, layer.mixing["attention"]) for layer in model_layers], parts.dense_or_moe(which, thin, routed)))


def qwen2_moe(config: Config) -> Plan:
    """Qwen 2 MoE: biases on Q, K and V."""
    return qwen_moe(config, parts.gqa(config, parts.biased(config, "qkv", "qkv_bias", default=True)))


def qwen3_moe(config: Config) -> Plan:
    """Qwen 3 MoE: QK norm per head."""
    parts.expect(config, use_qk_norm=True)
    return qwen_moe(config, parts.gqa(config, parts.biased(config, "qkvo", "attention_bias", "qkv_bias"), "head"))


def glm4_moe(config: Config) -> Plan:
    """GLM 4.5 and later: dense layers first, then routed and shared experts with a router bias; an MTP layer."""
    attention = parts.gqa(config, parts.biased(config, "qkv"), "head" if config.flag("use_qk_norm") else "none")
    width = config.count("moe_intermediate_size")
    return _prefixed(config, mixers(config, attention), parts.experts(config, width, parts.shared_width(config, width), router_bias=True))


def dots1(config: Config) -> Plan:
    """dots.llm1: GLM 4.5's layers, always with QK norm per head."""
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    width = config.count("moe_intermediate_size")
    return _prefixed(config, mixers(config, attention), parts.experts(config, width, parts.shared_width(config, width), router_bias=True))


def hy_v3(config: Config) -> Plan:
    """Hy3: QK norm per head, dense layers first (one by default), a router bias, an MTP layer."""
    config.ignore("route_norm", "moe_router_use_sigmoid", "moe_router_enable_expert_bias", "enable_moe_fp32_combine", "enable_lm_head_fp32")
    config.ignore("router_scaling_factor", "enable_attention_fp32_softmax")
    parts.expect(config, mlp_bias=False, qk_norm=True)
    config.values.setdefault("first_k_dense_replace", 1)
    width = config.count("moe_intermediate_size", "expert_hidden_dim")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    return _prefixed(config, mixers(config, attention), parts.experts(config, width, parts.shared_width(config, width), router_bias=True))


def sarvam_moe(config: Config) -> Plan:
    """Sarvam 30B: Ling's layers with a router bias, dense layers first (one by default)."""
    config.values.setdefault("first_k_dense_replace", 1)
    config.ignore("moe_router_enable_expert_bias", "score_function", "router_dtype", "moe_router_enable_routed_scaling")
    width = config.count("moe_intermediate_size")
    attention = parts.gqa(config, parts.biased(config, "qkv"), "head" if config.flag("use_qk_norm", default=True) else "none")
    return _prefixed(config, mixers(config, attention), parts.experts(config, width, parts.shared_width(config, width), router_bias=True))


def solar_open(config: Config) -> Plan:
    """Solar Open: experts in every layer; the published checkpoint has no router bias."""
    parts.expect(config, use_qk_norm=False)
    if config.count("first_k_dense_replace", low=0, default=0):
        config.cannot("dense layers in this type (first_k_dense_replace)")
    width = config.count("moe_intermediate_size")
    config.ignore("intermediate_size")
    return uniform(config, parts.gqa(config, parts.biased(config, "qkv")), parts.experts(config, width, parts.shared_width(config, width)))


def bailing(config: Config) -> Plan:
    """Ling: dense layers first, then routed and shared experts; a router bias if enabled."""
    qk_norm = "head" if config.flag("use_qk_norm") else "none"
    bias = "qkvo" if config.flag("use_bias") else parts.biased(config, "qkv", "use_qkv_bias")
    width = config.count("moe_intermediate_size")
    correction = config.flag("moe_router_enable_expert_bias")
    config.ignore("moe_router_enable_routed_scaling", "moe_router_topk_scaling_factor", "norm_head", "norm_softmax", "router_dtype", "multi_gate")
    config.ignore("use_rmsnorm", "using_split_qkv_in_self_attention", "moe_router_enable_shared_expert", "mtp_loss_scaling_factor")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=correction)
    return _prefixed(config, mixers(config, parts.gqa(config, bias, qk_norm)), routed)


def exaone_moe(config: Config) -> Plan:
    """EXAONE MoE: attention of EXAONE 4, experts with a router bias."""
    size = parts.window(config)
    width = config.count("moe_intermediate_size")
    config.ignore("layer_sparsity", "is_moe_layer")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=True)
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    model_layers = dense.layers(config, attention, {}, size, windows.exaone_spans(config, size))
    return _prefixed(config, [(layer.mixer, layer.mixing["attention"]) for layer in model_layers], routed)


def _prefixed(config: Config, mixing: list[tuple[str, Part]], routed: Part) -> Plan:
    """Dense layers before `first_k_dense_replace`, then experts; MTP layers like the last layer."""
    count = parts.depth(config)
    first = config.count("first_k_dense_replace", low=0, high=count, default=0)
    which = parts.sparse(config, count) or parts.after(config, count, first)
    config.ignore("moe_layer_freq")
    model_layers = parts.stack(mixing, parts.dense_or_moe(which, parts.dense(config), routed))
    return Plan(model_layers, predicts=model_layers[-1], heads=config.count(*parts.MTP, low=0, default=0))


def ernie_moe(config: Config) -> Plan:
    """ERNIE 4.5 MoE: experts from `moe_layer_start_index` to `moe_layer_end_index` in every `moe_layer_interval`-th layer."""
    parts.expect(config, use_bias=False)
    config.ignore("moe_capacity", "moe_gate")
    count, start, end = parts.depth(config), config.count("moe_layer_start_index", low=0), config.maybe("moe_layer_end_index", low=-1)
    last = count - 1 if end is None or end == -1 else end
    every = config.count("moe_layer_interval", default=1)
    width = config.count("moe_intermediate_size")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=config.flag("moe_use_aux_free", default=True))
    which = [start <= i <= last and (i + 1) % every == 0 for i in range(count)]
    return Plan(parts.stack(mixers(config, parts.gqa(config)), parts.dense_or_moe(which, parts.dense(config), routed)))


def ernie_vl(config: Config) -> Plan:
    """ERNIE 4.5 with vision: each expert layer has routed experts for text and narrower ones for image tokens; both use the shared ones."""
    parts.expect(config, use_bias=False)
    config.ignore("moe_capacity", "moe_gate", "moe_use_aux_free", "moe_multimodal_dispatch_use_allgather", "moe_group", "moe_group_experts")
    config.ignore("moe_gate_act", "moe_use_hard_gate", "moe_dense_experts_token_type_id", "moe_layer_interval", "moe_orthogonal_loss_lambda")
    count, size = parts.depth(config), parts.hidden(config)
    widths = _pair(config, "moe_intermediate_size")
    starts, ends, numbers = (_pair(config, name) for name in ("moe_layer_start_index", "moe_layer_end_index", "moe_num_experts"))
    listed = parts.sparse(config, count)
    if listed is None and starts is None:
        listed = [i > 0 for i in range(count)]
    of_text, of_images = (listed or [a <= i <= b for i in range(count)] for a, b in zip(starts or [0, 0], ends or [count - 1] * 2, strict=True))
    if widths is None or numbers is None:
        config.refuse(f"{'moe_intermediate_size' if widths is None else 'moe_num_experts'} is missing")
    config.values["moe_num_experts"] = numbers[0]
    routed = parts.experts(config, widths[0], (config.maybe(*parts.SHARED_COUNT, low=0) or 0) * widths[0], router_bias=True)
    images = sum(of_images) * (numbers[1] * (3 * size * widths[1] + size + 1))
    model_layers = parts.stack(mixers(config, parts.gqa(config)), parts.dense_or_moe(of_text, parts.dense(config), routed))
    remark = "The experts of image tokens take memory; text uses none of them."
    return Plan(model_layers, {"excluded": {"vision_experts": images}}, remarks=(remark,))


def _pair(config: Config, name: str) -> list[int] | None:
    """The values for text and for images: a list of two, or one for both; None without any."""
    config.ignore(name)
    value = config.values.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        return [config.count(name)] * 2
    found = config.numbers(name) or []
    if len(found) != 2:
        config.refuse(f"{name}: expected a value for text and one for images, got {len(found)}")
    return found


def hunyuan_moe(config: Config) -> Plan:
    """Hunyuan MoE: values may be lists per layer; with use_cla, each group of `cla_share_factor` layers shares one KV cache."""
    count = parts.depth(config)
    for name in ("moe_topk", "num_shared_expert", "moe_intermediate_size", "num_experts"):
        _once(config, name, count)
    parts.expect(config, use_qk_norm=True, mlp_bias=False, use_mixed_mlp_moe=True)
    if config.maybe("moe_layer_num_skipped", low=0):
        config.cannot("moe_layer_num_skipped")
    config.ignore("moe_drop_tokens", "moe_random_routing_dropped_token", "group_limited_greedy", "use_rotary_pos_emb", "norm_type")
    config.ignore("dense_list", "max_image_size", "num_media_embeds", "org_vocab_size", "pool_type", "anyres_pooling_size", "class_num")
    width = config.maybe("moe_intermediate_size") or config.count("intermediate_size")
    config.ignore("intermediate_size")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    routed = parts.experts(config, width, config.count(*parts.SHARED_COUNT, low=0, default=1) * width)
    if not config.flag("use_cla"):
        config.ignore("cla_share_factor")
        return uniform(config, attention, routed)
    factor = config.count("cla_share_factor")
    sharing = {**attention, "kv": "shared", "kv_proj": False}
    kinds = [("own_kv", attention) if i % factor == 0 else ("shared_kv", sharing) for i in range(count)]
    return Plan(parts.stack(kinds, [("", routed)] * count))


def _once(config: Config, name: str, count: int) -> None:
    """Replaces a list of equal values per layer by the value."""
    values = config.values.get(name)
    if isinstance(values, list) and values:
        if len(values) < count or any(value != values[0] for value in values):
            config.cannot(f"{name} that differs between layers")
        config.values[name] = values[0]


def arctic(config: Config) -> Plan:
    """Arctic: a dense FFN of the hidden size's width with its own norm, parallel to the experts."""
    if config.count("moe_layer_frequency", default=1) != 1:
        config.cannot("moe_layer_frequency other than 1")
    if not (config.flag("parallel_attn_mlp_res", default=True) and config.flag("use_residual", default=True)):
        config.cannot("this type without its dense branch (parallel_attn_mlp_res, use_residual)")
    config.ignore(
        "moe_eval_capacity_factor", "moe_train_capacity_factor", "moe_min_capacity", "moe_token_dropping", "enable_expert_tensor_parallelism"
    )
    config.ignore("enc_index", "max_sequence_length", "quantization")
    routed = parts.experts(config, config.count("intermediate_size"), parts.hidden(config))
    return uniform(config, parts.gqa(config), routed, norms=3)


def grok1(config: Config) -> Plan:
    """Grok-1: norms before and after attention and FFN."""
    config.ignore("max_attn_value")
    return uniform(config, parts.gqa(config), parts.experts(config, config.count("intermediate_size")), norms=4)


def dbrx(config: Config) -> Plan:
    """DBRX: attention and FFN settings in nested objects."""
    inner, ffn = config.section("attn_config"), config.section("ffn_config")
    if inner is None or ffn is None:
        config.refuse(f"{'attn_config' if inner is None else 'ffn_config'} is missing")
    inner.ignore("attn_pdrop", "clip_qkv", "model_type", "rope_theta")
    ffn.ignore(
        "ffn_act_fn", "moe_jitter_eps", "moe_loss_weight", "moe_normalize_expert_weights", "uniform_expert_assignment", "model_type", "hidden_size"
    )
    heads = config.count(*parts.HEADS)
    attention = {"heads": heads, "kv_heads": inner.count("kv_n_heads"), "head_dim": parts.head_dim(config, heads)}
    return uniform(config, attention, parts.experts(ffn, ffn.count("ffn_hidden_size")))
