"""State-space models: Mamba and Mamba-2, and hybrids with attention (Jamba, Nemotron-H, Falcon-H1, Granite 4, Bamba, Zamba2)."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.linear import LINEAR, state_dtype
from roofcalc.catalog.huggingface.parts import FULL
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def expect_biases(config: Config) -> None:
    """Raises for biases other than those of the state-space records."""
    parts.expect(config, use_bias=False, mamba_proj_bias=False, use_conv_bias=True, mamba_conv_bias=True)


def automatic(config: Config, *names: str) -> bool:
    """Whether a value is derived: absent or "auto"."""
    given = [name for name in names if config.has(name)]
    if all(config.values[name] == "auto" for name in given):
        config.ignore(*given)
        return True
    return False


def mamba1(config: Config, norms: bool = False) -> Part:
    """Mamba; its inner size is given, or a multiple of the hidden size (always in Jamba)."""
    expect_biases(config)
    config.ignore("fused_add_norm", "rms_norm", "ssm_cfg", "mamba_inner_layernorms", "n_ctx")
    size, ranks = parts.hidden(config), ("time_step_rank", "mamba_dt_rank")
    expanded = config.count("expand", "mamba_expand", default=2) * size
    return {
        "type": "mamba1",
        "inner": expanded if norms else config.count("intermediate_size", "d_inner", default=expanded),
        "state": config.count("state_size", "mamba_d_state"),
        "dt_rank": -(-size // 16) if automatic(config, *ranks) else config.count(*ranks),
        "conv": config.count("conv_kernel", "mamba_d_conv", "d_conv"),
        **({"norms": True} if norms else {}),
    }


def mamba2(config: Config, norm: bool = True) -> Part:
    """Mamba-2; an automatic head size is the inner size over the number of heads."""
    expect_biases(config)
    parts.expect(config, rms_norm=True)
    config.ignore("mamba_norm_before_gate", "norm_before_gate", "mamba_use_mlp", "time_step_rank")
    heads = config.count("mamba_n_heads", "mamba_num_heads", "num_heads")
    sizes = ("mamba_d_head", "mamba_head_dim", *(("head_dim",) if config.has("num_heads") else ()))
    factor, inner = config.count("expand", "mamba_expand", default=2), config.maybe("mamba_d_ssm")
    if automatic(config, *sizes):
        inner = inner or factor * parts.hidden(config)
        if inner % heads:
            config.refuse(f"mamba_n_heads {heads} does not divide the inner size {inner}")
        dim = inner // heads
    else:
        dim = config.count(*sizes)
    if inner not in (None, heads * dim):
        config.refuse(f"mamba_d_ssm {inner} and {heads} heads of {dim} contradict each other")
    return {
        "type": "mamba2",
        "heads": heads,
        "head_dim": dim,
        "state": config.count("mamba_d_state", "ssm_state_size", "state_size"),
        "groups": config.count("mamba_n_groups", "n_groups"),
        "conv": config.count("mamba_d_conv", "conv_kernel"),
        **({} if norm else {"norm": False}),
        **state_dtype(config, "mamba_ssm_cache_dtype"),
    }


def pure1(config: Config) -> Plan:
    """Mamba and Falcon-Mamba, whose norms on dt, B and C have no weights."""
    return Plan([Layer("", {"state": mamba1(config)})] * parts.depth(config))


def pure2(config: Config) -> Plan:
    """Mamba-2."""
    return Plan([Layer("", {"state": mamba2(config)})] * parts.depth(config))


def jamba(config: Config) -> Plan:
    """Jamba: attention and experts at a period and an offset each."""
    count = parts.depth(config)
    config.ignore("num_logits_to_keep")
    attn, attn_at = config.count("attn_layer_period"), config.count("attn_layer_offset", low=0)
    moe, moe_at = config.count("expert_layer_period"), config.count("expert_layer_offset", low=0)
    state, attention = mamba1(config, norms=True), parts.gqa(config)
    thin, width = parts.dense(config), config.count("intermediate_size")
    routed = parts.experts(config, width) if config.count(*parts.EXPERTS) > 1 else thin
    config.ignore(*parts.TOP_K)
    mixing = [("attn", {"attention": attention}) if i % attn == attn_at else ("mamba", {"state": state}) for i in range(count)]
    which = [routed is not thin and i % moe == moe_at for i in range(count)]
    networks = parts.dense_or_moe(which, thin, routed)
    return Plan([Layer(mixer, part, name, mlp) for (mixer, part), (name, mlp) in zip(mixing, networks, strict=True)])


def falcon_h1(config: Config) -> Plan:
    """Falcon-H1: parallel attention and Mamba-2 in every layer."""
    config.ignore("num_logits_to_keep", "attn_layer_indices", "layer_types", "layers_block_type", "mlp_expansion_factor", "mamba_use_mlp")
    parts.expect(config, projectors_bias=False)
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    state = mamba2(config, norm=config.flag("mamba_rms_norm"))
    mlp = parts.dense(config, bias=config.flag("mlp_bias"))
    return Plan([Layer("", {"attention": attention, "state": state}, "", mlp)] * parts.depth(config))


def bamba(config: Config) -> Plan:
    """Bamba: attention in the listed layers, Mamba-2 in the others, an FFN in each."""
    count = parts.depth(config)
    which = config.numbers("attn_layer_indices") or []
    if not all(0 <= i < count for i in which):
        config.refuse(f"attn_layer_indices: expected layer numbers from 0 to {count - 1}")
    config.ignore("num_logits_to_keep", "attn_rotary_emb", "layer_types")
    attention, state = parts.gqa(config, parts.biased(config, "qkvo")), mamba2(config)
    mlp = parts.dense(config, bias=config.flag("mlp_bias"))
    return Plan([_mixed(i in which, attention, state, "", mlp) for i in range(count)])


def granite_hybrid(config: Config) -> Plan:
    """Granite 4: Mamba-2 or attention, with routed and shared experts or a dense FFN."""
    count = parts.depth(config)
    types = parts.layer_types(config, count) or config.refuse("layer_types is missing")
    names = {"mamba": False, LINEAR: False, "attention": True, FULL: True}
    if not set(types) <= set(names):
        config.cannot(f"a layer of kind {next(kind for kind in types if kind not in names)!r}")
    config.ignore("position_embedding_type", "normalization_function", "num_logits_to_keep", "router_aux_loss_coef")
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    state = {} if all(names[kind] for kind in types) and not config.has("mamba_n_heads") else mamba2(config)
    shared = config.count("shared_intermediate_size")
    if config.count(*parts.EXPERTS, low=0, default=0):
        mlp = parts.experts(config, config.count("intermediate_size"), shared)
    else:
        config.ignore("intermediate_size", *parts.TOP_K)
        mlp = parts.network(shared)
    return Plan([_mixed(names[kind], attention, state, "", mlp) for kind in types])


def _mixed(full: bool, attention: Part, state: Part, name: str, mlp: Part) -> Layer:
    return Layer("attention", {"attention": attention}, name, mlp) if full else Layer("mamba", {"state": state}, name, mlp)


_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
_NAMES = {"mamba": "mamba", LINEAR: "mamba", "attention": "attention", FULL: "attention", "mlp": "mlp", "moe": "moe"}


def nemotron_h(config: Config) -> Plan:
    """Nemotron-H: each layer is Mamba-2, attention, an ungated FFN or experts, by a string of letters or a list."""
    order = _order(config, "hybrid_override_pattern", "layers_block_type", "layer_types") or config.refuse("hybrid_override_pattern is missing")
    count = config.count(*parts.DEPTH, default=len(order))
    config.per_layer(order, "hybrid_override_pattern or layers_block_type", count)
    config.ignore("num_logits_to_keep", "sliding_window", "expand", "moe_shared_expert_overlap", "time_step_rank", "mamba_chunk_size")
    bias = config.flag("mlp_bias")
    made: dict[str, Layer] = {}
    wanted = set(order) | set(_order(config, "mtp_hybrid_override_pattern", "mtp_layers_block_type") or [])
    heads = config.count(*parts.MTP, low=0, default=0)
    if "mamba" in wanted:
        made["mamba"] = Layer("mamba", {"state": mamba2(config)})
    if "attention" in wanted:
        made["attention"] = Layer("attention", {"attention": parts.gqa(config, parts.biased(config, "qkvo"))})
    if "mlp" in wanted:
        made["mlp"] = Layer("", {}, "mlp", parts.dense(config, plain=True, bias=bias))
    if "moe" in wanted:
        width = config.count("moe_intermediate_size")
        shared = config.count("moe_shared_expert_intermediate_size", low=0, default=0)
        if config.count("n_shared_experts", low=0, default=1) > 1:
            config.cannot("more than one shared expert in this type (n_shared_experts)")
        more = {"latent": config.maybe("moe_latent_size"), "plain": True, "router_bias": True}
        made["moe"] = Layer("", {}, "moe", parts.experts(config, width, shared, **more))
    unused = {"mamba_num_heads", "mamba_head_dim", "ssm_state_size", "n_groups", "conv_kernel", "use_conv_bias"} if "mamba" not in made else set()
    config.ignore("intermediate_size", *parts.EXPERTS, *parts.TOP_K, "n_shared_experts", "moe_intermediate_size", "moe_latent_size", *unused)
    config.ignore("moe_shared_expert_intermediate_size", *parts.HEADS, *parts.KV_HEADS, *parts.HEAD_DIM)
    return Plan([made[kind] for kind in order], predicts=_prediction(config, made) if heads else None, heads=heads)


def _order(config: Config, pattern: str, *names: str) -> list[str] | None:
    """The kind of each layer, from a string of letters or a list of names."""
    text = config.text(pattern)
    if text is not None:
        config.ignore(*names)
        if not text or not set(text) <= set(_LETTERS):
            config.refuse(f"{pattern}: expected letters of {' '.join(_LETTERS)}, got {text[:40]!r}")
        return [_LETTERS[letter] for letter in text]
    words = config.words(*names)
    if words is not None and not set(words) <= set(_NAMES):
        config.cannot(f"a layer of kind {next(word for word in words if word not in _NAMES)!r}")
    return [_NAMES[word] for word in words] if words else None


def _prediction(config: Config, made: dict[str, Layer]) -> Layer:
    """The layers of the MTP module, a mixer and an FFN, as one block."""
    kinds = _order(config, "mtp_hybrid_override_pattern", "mtp_layers_block_type") or ["attention", "moe"]
    if len(kinds) != 2 or kinds[0] not in ("attention", "mamba") or kinds[1] not in ("mlp", "moe") or not set(kinds) <= set(made):
        config.cannot("MTP layers other than a mixer and an FFN (mtp_layers_block_type)")
    mixer, network = made[kinds[0]], made[kinds[1]]
    return Layer(mixer.mixer, mixer.mixing, network.network, network.mlp)


def zamba2(config: Config) -> Plan:
    """Zamba2: Mamba-2 in each layer; before some of them a shared block of attention over two inputs and an FFN.

    The projection back to the hidden size and the low-rank adapters of each use take memory, but are not modelled.
    """
    count, size = parts.depth(config), parts.hidden(config)
    words = config.words("layers_block_type", "layer_types") or config.refuse("layers_block_type is missing")
    types = config.per_layer(words, "layers_block_type", count) or []
    if not set(types) <= {"mamba", LINEAR, "hybrid"}:
        config.cannot(f"a layer of kind {next(kind for kind in types if kind not in ('mamba', LINEAR, 'hybrid'))!r}")
    expect_biases(config)
    parts.expect(config, add_bias_linear=False)
    config.ignore("attention_hidden_size", "mamba_headdim", "kv_channels", "num_query_groups", "hybrid_layer_ids", "num_logits_to_keep")
    config.ignore("use_mem_rope", "use_mem_eff_path", "use_long_context", "use_shared_mlp_adapter", "ft_specific_params", "state_dtype")
    heads, inner = config.count("n_mamba_heads"), config.count("mamba_expand", default=2) * size
    if inner % heads:
        config.refuse(f"n_mamba_heads {heads} does not divide the inner size {inner}")
    sizes = {"state": config.count("mamba_d_state"), "groups": config.count("mamba_ngroups"), "conv": config.count("mamba_d_conv")}
    state: Part = {"type": "mamba2", "heads": heads, "head_dim": inner // heads, **sizes}
    queries = config.count(*parts.HEADS)
    attention: Part = {
        "heads": queries,
        "kv_heads": config.count(*parts.KV_HEADS, default=queries),
        "head_dim": config.count("attention_head_dim", default=2 * size // queries),
        "inputs": 2,
    }
    mlp = parts.network(config.count("intermediate_size", "ffn_hidden_size", default=4 * size))
    shared = Layer("attention", {"attention": attention}, "mlp", mlp, norms=3, copies=config.count("num_mem_blocks"))
    uses, rank = types.count("hybrid"), config.count("adapter_rank")
    wide = attention["heads"] * attention["head_dim"]
    adapters = 3 * rank * 2 * wide if config.flag("use_shared_attention_adapter") else 0
    adapters += rank * (size + 2 * mlp["width"])
    model_layers = [layer for kind in types for layer in ([shared] if kind == "hybrid" else []) + [Layer("mamba", {"state": state})]]
    remark = "Each use of a shared block has its own projection and low-rank adapters: their memory is counted, their FLOPs are not."
    return Plan(model_layers, {"excluded": {"linear": uses * size * size, "adapters": uses * adapters}}, remarks=(remark,))
