"""Multi-head latent attention (MLA): DeepSeek V2 to V3.2 and models of their architecture, LongCat, and DeepSeek V4."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def mla(config: Config, **more: object) -> Part:
    """MLA; `head_dim` of these configs is the rotary part and is ignored."""
    config.ignore("head_dim", "qk_head_dim", *parts.KV_HEADS)
    if config.flag("attention_bias", "qkv_bias"):
        config.cannot("biases in latent attention (attention_bias)")
    rank = config.maybe("q_lora_rank")
    return {
        "type": "mla",
        "heads": config.count(*parts.HEADS),
        **({"q_rank": rank} if rank else {}),
        "kv_rank": config.count("kv_lora_rank"),
        "nope_dim": config.count("qk_nope_head_dim"),
        "rope_dim": config.count("qk_rope_head_dim"),
        "v_dim": config.count("v_head_dim"),
        **{key: value for key, value in more.items() if value},
    }


def deepseek_v2(config: Config) -> Plan:
    """DeepSeek V2: no router bias. With `use_mla` false (DeepSeek-VL2 Tiny and Small, DeepSeek-OCR) plain attention in its place."""
    if config.flag("use_mla", default=True):
        attention = mla(config)
    else:
        for name in ("kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"):
            if config.maybe(name, low=0):
                config.cannot(f"{name} without latent attention (use_mla false)")
            config.values.pop(name, None)
        attention = parts.gqa(config, parts.biased(config, "qkvo"))
    return _deepseek(config, [("", attention)] * parts.depth(config), corrected=False)


def deepseek_v3(config: Config) -> Plan:
    """DeepSeek V3, R1, Kimi K2, GLM 4.7 Flash."""
    return _deepseek(config, [("", mla(config))] * parts.depth(config), corrected=True)


def mistral4(config: Config) -> Plan:
    """Mistral Small 4: no dense layers, no router bias."""
    config.values.setdefault("first_k_dense_replace", 0)
    return _deepseek(config, [("", mla(config))] * parts.depth(config), corrected=False)


def sarvam_mla(config: Config) -> Plan:
    """Sarvam 105B: DeepSeek V3 with one dense layer by default."""
    config.values.setdefault("first_k_dense_replace", 1)
    config.ignore("moe_router_enable_expert_bias", "score_function", "router_dtype", "moe_shared_expert_intermediate_size")
    return deepseek_v3(config)


def dense_mla(config: Config) -> Plan:
    """Latent attention with a dense FFN in each layer (MiniCPM 3, Youtu-LLM)."""
    parts.expect(config, mlp_bias=False)
    config.ignore("scale_emb", "scale_depth", "dim_model_base", "embedding_initializer_range")
    return Plan(parts.stack([("", mla(config))] * parts.depth(config), [("", parts.dense(config))] * parts.depth(config)))


def hy_v4(config: Config) -> Plan:
    """Hy4: DeepSeek V3.2's attention with an output gate and sinks, four residual streams."""
    count, size = parts.depth(config), parts.hidden(config)
    config.ignore("hc_magnitude", "learnable_sink_init", "swiglu_limit", "routed_scaling_factor")
    index = {"heads": config.count("index_n_heads"), "dim": config.count("index_head_dim"), "top_k": config.count("index_topk")}
    kinds = {
        "full": ("indexed", mla(config, index=index, gate=True)),
        "shared": ("shared_index", mla(config, index={**index, "shared": True}, gate=True)),
    }
    config.values.setdefault("first_k_dense_replace", 1)
    plan = _deepseek(config, [kinds[kind] for kind in _indexers(config, count)], corrected=True)
    streams = config.count("hc_mult")
    # This type mixes streams by vectors, m × m·h for a part's input and its output, where DeepSeek V4 has another m² × m·h.
    more = count * 2 * (streams * streams * (streams * size + 1) + 1) - count * config.count(*parts.HEADS)
    remark = f"Residual streams are mixed as in DeepSeek V4: the count is {more:,} too high with the sinks, which it omits."
    return plan._replace(fields={**plan.fields, "hyper_connections": streams}, remarks=(*plan.remarks, remark))


def deepseek_v32(config: Config) -> Plan:
    """V3 with a sparse-attention indexer in each layer (DeepSeek V3.2), or in some layers, whose choice the next ones reuse (GLM 5)."""
    count = parts.depth(config)
    index = {"heads": config.count("index_n_heads"), "dim": config.count("index_head_dim"), "top_k": config.count("index_topk")}
    indexed, reusing = mla(config, index=index), mla(config, index={**index, "shared": True})
    kinds = {"full": ("indexed", indexed), "shared": ("shared_index", reusing)}
    mixing = [kinds[kind] for kind in _indexers(config, count)]
    return _deepseek(config, mixing, corrected=True)


def _indexers(config: Config, count: int) -> list[str]:
    """Which layers run an indexer: by a list, a string of F and S, or every n-th; by default all."""
    config.ignore("layer_types", "index_share_for_mtp_iteration", "index_skip_topk_offset")
    types = config.per_layer(config.words("indexer_types"), "indexer_types", count)
    pattern = config.text("index_topk_pattern")
    if types is None and pattern is not None:
        if len(pattern) != count or not set(pattern) <= {"F", "S"}:
            config.refuse(f"index_topk_pattern: expected {count} letters F or S, got {len(pattern)}")
        types = [{"F": "full", "S": "shared"}[letter] for letter in pattern]
    every = config.count("index_topk_freq", default=1)
    if types is None:
        offset = config.count("index_skip_topk_offset", low=0, default=2)
        types = ["full" if max(i - offset + 1, 0) % every == 0 else "shared" for i in range(count)]
    if not set(types) <= {"full", "shared"}:
        config.cannot(f"an indexer of kind {next(kind for kind in types if kind not in ('full', 'shared'))!r}")
    return types


def _deepseek(config: Config, mixing: list[tuple[str, Part]], corrected: bool) -> Plan:
    """Dense layers before `first_k_dense_replace`, then experts; MTP layers like the last layer. `corrected`: the router has a bias."""
    count = parts.depth(config)
    method = config.text("topk_method")
    corrected = method == "noaux_tc" if method is not None else corrected
    config.ignore("mlp_bias")
    width = config.count("moe_intermediate_size")
    which = parts.sparse(config, count)
    if which is None:
        which = parts.after(config, count, config.count("first_k_dense_replace", low=0, high=count))
    config.ignore("first_k_dense_replace", "moe_layer_freq", "index_topk_freq")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=corrected)
    model_layers = parts.stack(mixing, parts.dense_or_moe(which, parts.dense(config), routed))
    last = model_layers[-1]
    if last.mixer == "shared_index":  # an MTP layer has its own indexer
        last = last._replace(mixer="indexed", mixing={"attention": {**last.mixing["attention"], "index": _owned(last)}})
    return Plan(model_layers, predicts=last, heads=config.count(*parts.MTP, low=0, default=0))


def _owned(layer: Layer) -> Part:
    return {key: value for key, value in layer.mixing["attention"]["index"].items() if key != "shared"}


def longcat(config: Config) -> Plan:
    """LongCat: each layer is two attention + dense FFN pairs with one MoE across both, which has zero-computation experts."""
    count = parts.depth(config)
    config.ignore("attention_method", "mla_scale_q_lora", "mla_scale_kv_lora", "router_bias", "router_dtype", "num_hidden_layers")
    kind = config.text("zero_expert_type")
    if kind not in (None, "identity"):
        config.cannot(f"zero_expert_type {kind!r}")
    attention, thin = mla(config), parts.dense(config, "ffn_hidden_size", "intermediate_size")
    width = config.count("expert_ffn_hidden_size", "moe_intermediate_size")
    routed = parts.experts(config, width, zero_experts=config.count("zero_expert_num", low=0, default=0), router_bias=True)
    half = Layer("attention", {"attention": attention}, "dense", thin)
    model_layers = [half, Layer("", {}, "experts", routed, norms=0), half] * count
    return Plan(model_layers, predicts=half, heads=config.count(*parts.MTP, low=0, default=0))


def deepseek_v4(config: Config) -> Plan:
    """DeepSeek V4: a KV cache compressed by a ratio per layer and an uncompressed window; an additional ratio is that of the MTP layer."""
    count, spare = parts.depth(config), config.count(*parts.MTP, low=0, default=0)
    ratios = config.per_layer(_ratios(config, count), "compress_ratios", count, spare) or []
    config.ignore("mlp_layer_types", "topk_method", "expert_dtype", "mlp_bias", "index_share_for_mtp_iteration", *parts.KV_HEADS)
    for name in ("attention_bias", "mlp_bias"):
        if config.flag(name):
            config.cannot(f"{name} in this type")
    window = config.count("sliding_window")
    index = {"heads": config.count("index_n_heads"), "dim": config.count("index_head_dim"), "top_k": config.count("index_topk")}
    base: Part = {
        "type": "pooled",
        "heads": config.count(*parts.HEADS),
        "head_dim": config.count("head_dim"),
        "rope_dim": config.count("qk_rope_head_dim"),
        "q_rank": config.count("q_lora_rank"),
    }
    output = {"groups": config.count("o_groups"), "rank": config.count("o_lora_rank")}

    def attention(ratio: int) -> tuple[str, Part]:
        """Ratio 0 has only the window; at ratio 4 an indexer selects compressed entries."""
        pool = {"ratio": ratio, "window": window, **({"index": index} if ratio == 4 else {})}
        return {0: "raw", 4: "fine"}.get(ratio, "coarse"), {**base, "pool": pool, "output": output}

    width = config.count("moe_intermediate_size")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=True)
    model_layers = parts.stack([attention(ratio) for ratio in ratios], [("", routed)] * count)
    name, part = attention(0)
    tables = config.count("num_hash_layers", low=0, high=count, default=0)
    remark = f"The first {tables} layers route by token id and have no router bias: the count is {tables * routed['experts']} too high."
    fields = {"hyper_connections": config.count("hc_mult")}
    return Plan(model_layers, fields, predicts=Layer(name, {"attention": part}, "", routed), heads=spare, remarks=(remark,) if tables else ())


def _ratios(config: Config, count: int) -> list[int] | None:
    """Compression ratio of each layer, by a list or by layer types."""
    ratios = config.numbers("compress_ratios")
    types, rates = config.words("layer_types"), config.section("compress_rates")
    if ratios is not None:
        if not all(0 <= ratio <= 1_000_000 for ratio in ratios):
            config.refuse("compress_ratios: expected whole numbers from 0 to 1000000")
        return ratios
    if types is None or rates is None:
        config.refuse("compress_ratios is missing")
    known = {"sliding_attention": 0, **{kind: rates.count(kind) for kind in rates.values}}
    if not set(types) <= set(known):
        config.cannot(f"a layer of kind {next(kind for kind in types if kind not in known)!r}")
    return [known[kind] for kind in types]
