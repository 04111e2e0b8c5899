"""Hybrids of linear and full attention: Qwen3-Next and 3.5, Kimi Linear and K3."""

from roofcalc.catalog.huggingface import latent, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan

LINEAR = "linear_attention"
_STATES = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def state_dtype(config: Config, *names: str) -> Part:
    """The dtype of the recurrent state, where it is not fp32."""
    value = config.text(*names)
    if value is None or value == "float32":
        return {}
    return {"dtype": _STATES.get(value) or config.refuse(f"{names[0]}: invalid choice {value!r} (choose from {', '.join(_STATES)})")}


def kinds(config: Config, count: int, period: int | None) -> list[str]:
    """The kind of each layer, by layer_types or with full attention in every `period`-th layer."""
    types = parts.layer_types(config, count)
    if types is None:
        if period is None:
            config.refuse("layer_types is missing")
        types = [FULL if (i + 1) % period == 0 else LINEAR for i in range(count)]
    if not set(types) <= {FULL, LINEAR}:
        config.cannot(f"a layer of kind {next(kind for kind in types if kind not in (FULL, LINEAR))!r}")
    return types


def qwen3_next(config: Config) -> Plan:
    """Gated DeltaNet and gated attention with experts (Qwen3-Next, Qwen3.5 MoE) or a dense FFN (Qwen3.5)."""
    count = parts.depth(config)
    types = kinds(config, count, config.count("full_attention_interval", default=4))
    config.ignore("mtp_use_dedicated_embeddings", "use_sliding_window", "sliding_window", "max_window_layers", "mtp_layer_types")
    if config.flag("mtp_use_dedicated_embeddings"):
        config.cannot("a separate embedding of the MTP layers (mtp_use_dedicated_embeddings)")
    state: Part = {
        "type": "gated_deltanet",
        "k_heads": config.count("linear_num_key_heads"),
        "v_heads": config.count("linear_num_value_heads"),
        "k_dim": config.count("linear_key_head_dim"),
        "v_dim": config.count("linear_value_head_dim"),
        "conv": config.count("linear_conv_kernel_dim"),
        **state_dtype(config, "mamba_ssm_dtype"),
    }
    gate = {"gate": True} if config.flag("attn_output_gate", default=True) else {}
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head", **gate)
    networks = _networks(config, count)
    model_layers = [
        Layer("full", {"attention": attention}, *each) if kind == FULL else Layer("linear", {"state": state}, *each)
        for kind, each in zip(types, networks, strict=True)
    ]
    predicts = Layer("full", {"attention": attention}, *networks[-1])
    return Plan(model_layers, predicts=predicts, heads=config.count(*parts.MTP, low=0, default=0))


def _networks(config: Config, count: int) -> list[tuple[str, Part]]:
    without = config.numbers("mlp_only_layers") or []
    if not any(config.has(name) for name in parts.EXPERTS):
        return [("", parts.dense(config))] * count
    step = config.count("decoder_sparse_step", default=1)
    which = [(i + 1) % step == 0 and i not in without for i in range(count)]
    shared = config.count("shared_expert_intermediate_size", low=0, default=0)
    routed = parts.experts(config, config.count("moe_intermediate_size"), shared, shared_gate=shared > 0)
    config.ignore("intermediate_size")
    return parts.dense_or_moe(which, None if all(which) else parts.dense(config), routed)


def kimi_linear(config: Config) -> Plan:
    """Kimi Delta Attention and MLA; K3 adds full-rank gates, experts of a smaller hidden size, and attention over earlier residuals."""
    count = parts.depth(config)
    inner = config.section("linear_attn_config") or config.refuse("linear_attn_config is missing")
    inner.ignore("gate_lower_bound")
    full, linear = inner.numbers("full_attn_layers") or [], inner.numbers("kda_layers") or []
    if sorted([*full, *linear]) != list(range(1, count + 1)):
        inner.refuse(f"full_attn_layers and kda_layers must list each layer from 1 to {count} once")
    state: Part = {
        "type": "kda",
        "heads": inner.count("num_heads"),
        "head_dim": inner.count("head_dim"),
        "conv": inner.count("short_conv_kernel_size"),
        **({"full_gate": True} if inner.flag("use_full_rank_gate") else {}),
    }
    gate = config.flag("mla_use_output_gate")
    attention = latent.mla(config, gate=gate)
    config.ignore("mla_use_nope", "topk_method", "moe_layer_freq")
    width, small = config.count("moe_intermediate_size"), config.maybe("routed_expert_hidden_size")
    latent_norm = config.flag("latent_moe_use_norm")
    routed = parts.experts(config, width, parts.shared_width(config, width), latent=small, router_bias=True)
    which = parts.sparse(config, count) or parts.after(config, count, config.count("first_k_dense_replace", low=0, high=count))
    config.ignore("first_k_dense_replace")
    networks = parts.dense_or_moe(which, parts.dense(config), routed)
    model_layers = [
        Layer("mla", {"attention": attention}, *each) if i + 1 in full else Layer("kda", {"state": state}, *each) for i, each in enumerate(networks)
    ]
    remarks: tuple[str, ...] = ()
    if small and latent_norm:
        remarks += (f"The norms on the latent input of the experts, {small * sum(which)} parameters, are not counted.",)
    mixed = config.maybe("attn_res_block_size") is not None
    if mixed:
        remarks += (f"The query and the norm of the residual attention before the LM head, {2 * parts.hidden(config)} parameters, are not counted.",)
    fields = {"norms": 6} if mixed else {}  # each part attends to earlier residuals with its own query and norm
    return Plan(model_layers, fields, predicts=model_layers[-1], heads=config.count(*parts.MTP, low=0, default=0), remarks=remarks)


def bailing_hybrid(config: Config) -> Plan:
    """Ling 2.5 and 2.6 (lightning attention) and 3.0 (Kimi Delta Attention), with latent attention at the end of each group of layers."""
    count, period = parts.depth(config), config.count("layer_group_size")
    rest = count - count % period  # layers beyond the last whole group have latent attention
    types = (
        kinds(config, count, None) if config.has("layer_types") else [FULL if i >= rest or (i + 1) % period == 0 else LINEAR for i in range(count)]
    )
    delta = any(config.has(name) for name in ("short_conv_kernel_size", "no_kda_lora", "kda_safe_gate"))
    gate = {"head_wise": "head_gate", "element_wise": "gate"}.get(
        config.text("gated_attention_proj_granularity_type") or ("head_wise" if delta else "")
    )
    config.ignore(
        "group_norm_size", "linear_silu", "use_linear_silu", "linear_rope", "score_function", "kda_lower_bound", "router_dtype", "rotary_dim"
    )
    config.ignore("moe_router_enable_routed_scaling", "moe_router_enable_shared_expert", "mtp_loss_scaling_factor", "num_kv_heads_for_linear_attn")
    config.ignore("linear_head_dim", "linear_num_heads", "linear_conv_kernel_dim", "max_window_layers", "use_rmsnorm", "norm_head", "use_qkv_bias")
    if config.flag("use_bias") or config.flag("use_qkv_bias"):
        config.cannot("biases in this type (use_bias, use_qkv_bias)")
    heads, size = config.count(*parts.HEADS), config.count("linear_head_dim", "head_dim")
    if delta:
        full = config.flag("no_kda_lora", default=True)
        wide = {"full_gate": True, "full_forget": True} if full else {}
        state: Part = {
            "type": "kda",
            "heads": heads,
            "head_dim": size,
            "conv": config.count("short_conv_kernel_size", "linear_conv_kernel_dim"),
            **wide,
        }
    else:
        state = {"type": "lightning", "heads": heads, "head_dim": size, **({"qk_norm": True} if config.flag("use_qk_norm", default=True) else {})}
    config.ignore("use_qk_norm")
    attention = latent.mla(config, **({gate: True} if gate else {}))
    width = config.count("moe_intermediate_size")
    routed = parts.experts(config, width, parts.shared_width(config, width), router_bias=config.flag("moe_router_enable_expert_bias", default=True))
    which = parts.sparse(config, count) or parts.after(config, count, config.count("first_k_dense_replace", low=0, high=count))
    config.ignore("first_k_dense_replace")
    networks = parts.dense_or_moe(which, parts.dense(config), routed)
    mixing = {FULL: ("mla", {"attention": attention}), LINEAR: (state["type"], {"state": state})}
    model_layers = [Layer(*mixing[kind], *each) for kind, each in zip(types, networks, strict=True)]
    predicts = Layer(*mixing[FULL], *networks[-1])
    return Plan(model_layers, predicts=predicts, heads=config.count(*parts.MTP, low=0, default=0))
