"""GPT-2 era models with ungated FFNs, LayerNorm biases, learned or relative positions: GPT-2, GPT-J, OPT, BLOOM, Falcon, MPT."""

from roofcalc.catalog.huggingface import dense, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Part, Plan

_LEARNED_FROM = 2  # OPT's position embedding has this many extra rows at the start


def _width(config: Config) -> int:
    """Intermediate size; four times the hidden size by default."""
    return config.count(*parts.WIDTH, default=4 * parts.hidden(config))


def opt(config: Config) -> Plan:
    """OPT."""
    inner = config.maybe("word_embed_proj_dim")
    if inner is not None and inner != parts.hidden(config):
        config.cannot("an embedding narrower than the hidden size (word_embed_proj_dim)")
    parts.expect(config, do_layer_norm_before=True, enable_bias=True, layer_norm_elementwise_affine=True, _remove_final_layer_norm=False)
    config.ignore("layerdrop")
    rows = (parts.context(config) or config.refuse("max_position_embeddings is missing")) + _LEARNED_FROM
    mlp = parts.dense(config, plain=True, bias=True)
    return Plan(dense.layers(config, parts.gqa(config, "qkvo"), mlp), {"norm_bias": True, "positions": rows})


def bloom(config: Config) -> Plan:
    """BLOOM: relative positions, a norm on the embedding."""
    config.ignore("apply_residual_connection_post_layernorm", "masked_softmax_fusion", "bias_dropout_fusion", "slow_but_exact", "offset_alibi")
    mlp = parts.network(_width(config), plain=True, bias=True)
    return Plan(dense.layers(config, parts.gqa(config, "qkvo"), mlp), {"norm_bias": True, "embed_norm": True})


def gptj(config: Config) -> Plan:
    """GPT-J: parallel attention and FFN behind one norm; biases in the FFN and on the LM head."""
    mlp = parts.network(_width(config), plain=True, bias=True)
    fields = {"norms": 1, "norm_bias": True, "parallel": True, "head_bias": True}
    config.ignore("summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type", "summary_use_proj", "task_specific_params")
    return Plan(dense.layers(config, parts.gqa(config), mlp), fields)


def gpt_neox(config: Config) -> Plan:
    """GPT-NeoX, Pythia: parallel attention and FFN with a norm each."""
    bias = parts.biased(config, "qkvo", default=True)
    fields = {"norm_bias": True, **({"parallel": True} if config.flag("use_parallel_residual", default=True) else {})}
    return Plan(dense.layers(config, parts.gqa(config, bias), parts.dense(config, plain=True, bias=True)), fields)


def gpt2(config: Config) -> Plan:
    """GPT-2, and the first StarCoder with multi-query attention."""
    config.ignore(
        "n_ctx", "scale_attn_by_inverse_layer_idx", "summary_proj_to_labels", "attention_softmax_in_fp32", "inference_runner", "max_batch_size"
    )
    config.ignore("max_sequence_length", "pad_key_length", "pre_allocate_kv_cache", "validate_runner_input", "runner_max_sequence_length")
    attention = parts.gqa(config, "qkvo")
    if config.flag("multi_query", default=config.text("model_type") == "gpt_bigcode"):
        attention["kv_heads"] = 1
    rows = parts.context(config) or config.refuse("n_positions is missing")
    mlp = parts.network(_width(config), plain=True, bias=True)
    return Plan(dense.layers(config, attention, mlp), {"norm_bias": True, "positions": rows})


def mpt(config: Config) -> Plan:
    """MPT: norms without biases; ALiBi or learned positions by attn_config."""
    if not config.flag("no_bias", default=False):
        config.cannot("biases in this type (no_bias false)")
    inner = config.section("attn_config")
    relative, kv_heads, heads = False, None, config.count(*parts.HEADS)
    if inner is not None:
        inner.ignore(
            "attn_pdrop", "attn_impl", "clip_qkv", "softmax_scale", "prefix_lm", "attn_uses_sequence_id", "alibi_bias_max", "attn_type", "model_type"
        )
        relative, kv_heads = inner.flag("alibi"), inner.maybe("kv_n_heads")
        if inner.flag("qk_ln"):
            inner.cannot("norms on queries and keys in this type (qk_ln)")
        kind = inner.text("attn_type") or "multihead_attention"
        if kind == "multiquery_attention":
            kv_heads = 1
        elif kind not in ("multihead_attention", "grouped_query_attention"):
            inner.cannot(f"attn_type {kind!r}")
    config.ignore("embedding_fraction", "norm_type", "init_device", "init_config", "verbose", "fc_type", "ffn_config", "logit_scale", "emb_pdrop")
    size = parts.hidden(config)
    attention = {"heads": heads, "kv_heads": kv_heads or heads, "head_dim": parts.head_dim(config, heads)}
    mlp = parts.network(config.count("expansion_ratio", default=4) * size, plain=True)
    learned = config.flag("learned_pos_emb", default=True) and not relative
    rows = parts.context(config) or config.refuse("max_seq_len is missing")
    return Plan(dense.layers(config, attention, mlp), {"positions": rows} if learned else {})


def falcon(config: Config) -> Plan:
    """Falcon: parallel attention and FFN; one KV head and one norm (7B), or grouped KV heads and two norms (40B, 180B)."""
    config.ignore("apply_residual_connection_post_layernorm", "alibi")
    new, bias = config.flag("new_decoder_architecture"), config.flag("bias")
    parallel = config.flag("parallel_attn", default=True)
    heads = config.count(*parts.HEADS)
    several = config.flag("multi_query", default=True)
    given = config.maybe("num_kv_heads", "num_key_value_heads")
    kv_heads = (given or heads) if new else 1 if several else heads
    attention: Part = {"heads": heads, "kv_heads": kv_heads, "head_dim": parts.head_dim(config, heads)}
    if bias:
        attention["bias"] = "qkvo"
    norms = config.count("num_ln_in_parallel_attn", default=2 if new else 1) if parallel or new else 2
    mlp = parts.network(_width(config), plain=True, bias=bias)
    return Plan(dense.layers(config, attention, mlp), {"norms": norms, "norm_bias": True, **({"parallel": True} if parallel else {})})
