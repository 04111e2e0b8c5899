"""Keys that many families share, converted to parts of a catalog block: sizes, attention, spans, FFNs and experts."""

from collections.abc import Sequence
from typing import Any

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Layer, Part

MAX_LAYERS = 10_000

DEPTH = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")
HIDDEN = ("hidden_size", "d_model", "n_embd", "n_embed")
CONTEXT = ("max_position_embeddings", "model_max_length", "max_seq_len", "n_positions", "seq_length")
HEADS = ("num_attention_heads", "n_head", "n_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "num_attention_groups")
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels")
WIDTH = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim", "d_ff")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
TOP_K = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "experts_per_token",
    "moe_topk",
    "moe_top_k",
    "moe_k",
    "top_k_experts",
    "num_selected_experts",
)
SHARED_COUNT = ("n_shared_experts", "num_shared_experts", "num_shared_expert", "moe_num_shared_experts")
MTP = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_layers")

FULL, SLIDING, CHUNKED = "full_attention", "sliding_attention", "chunked_attention"


def expect(config: Config, **expected: bool) -> None:
    """Raises for a flag with a value that no known model of this type has."""
    for name, value in expected.items():
        if config.flag(name, default=value) is not value:
            config.cannot(f"{name} {str(not value).lower()} in this type")


def depth(config: Config) -> int:
    """Number of layers."""
    return config.count(*DEPTH, high=MAX_LAYERS)


def hidden(config: Config) -> int:
    """Hidden size."""
    return config.count(*HIDDEN)


def context(config: Config) -> int | None:
    """Maximum context, by the first key that is present: later ones may be the length before an extension. [tokens]"""
    config.ignore(*CONTEXT)
    name = next((one for one in CONTEXT if config.has(one)), None)
    return config.count(name) if name else None


def head_dim(config: Config, heads: int) -> int:
    """Size of a head: given, else the hidden size over the number of heads."""
    given = config.maybe(*HEAD_DIM)
    if given is not None:
        return given
    size = hidden(config)
    if size % heads:
        config.refuse(f"head_dim is missing, and hidden_size {size} is not divisible by {heads} heads")
    return size // heads


def gqa(config: Config, bias: str = "none", qk_norm: str = "none", **more: Any) -> Part:
    """Grouped-query attention; `more` are additional fields."""
    heads = config.count(*HEADS)
    part: Part = {"heads": heads, "kv_heads": config.count(*KV_HEADS, default=heads), "head_dim": head_dim(config, heads)}
    value_dim = config.maybe("v_head_dim")
    if value_dim is not None and value_dim != part["head_dim"]:
        part["v_dim"] = value_dim
    if bias != "none":
        part["bias"] = bias
    if qk_norm != "none":
        part["qk_norm"] = qk_norm
    return {**part, **more}


def biased(config: Config, which: str, *names: str, default: bool = False) -> str:
    """`which` if the flag is set, else "none": the projections that have biases."""
    return which if config.flag(*(names or ("attention_bias", "qkv_bias", "use_qkv_bias")), default=default) else "none"


def window(config: Config, *names: str) -> int | None:
    """The sliding window, if it is enabled and shorter than the context. [tokens]"""
    size, on = config.maybe(*(names or ("sliding_window",))), config.flag("use_sliding_window", default=True)
    longest = context(config)
    return size if size is not None and on and (longest is None or size < longest) else None


def layer_types(config: Config, layers: int, spare: int = 0) -> list[str] | None:
    """The kind of each layer, if the config lists them."""
    return config.per_layer(config.words("layer_types", "layers_block_type"), "layer_types", layers, spare)


def spans(config: Config, attention: Part, types: Sequence[str], size: int | None, local: Part | None = None) -> list[tuple[str, Part]]:
    """Attention of each layer by its kind: `full`, or `local` with the window of `size` tokens and the heads of `local`."""
    kinds = {FULL: ("full", attention), SLIDING: ("local", {**(local or attention), "window": size})}
    if size is None:
        kinds[SLIDING] = ("local", local) if local else kinds[FULL]
    unknown = next((kind for kind in types if kind not in kinds), None)
    if unknown is not None:
        config.cannot(f"a layer of kind {unknown!r}")
    return [kinds[kind] for kind in types]


def dense(config: Config, *names: str, plain: bool = False, bias: bool = False, default: int | None = None) -> Part:
    """A dense FFN with its width under `names`, by default the common keys."""
    return network(config.count(*(names or WIDTH), default=default), plain, bias)


def network(width: int, plain: bool = False, bias: bool = False) -> Part:
    """A dense FFN of a given width."""
    return {"width": width, **({"plain": True} if plain else {}), **({"bias": True} if bias else {})}


def experts(config: Config, width: int, shared: int = 0, **more: Any) -> Part:
    """Routed experts of `width`, and shared ones of summed width `shared`; `more` are additional fields, omitted if false."""
    part: Part = {"experts": config.count(*EXPERTS), "top_k": config.count(*TOP_K), "width": width}
    if shared:
        part["shared"] = shared
    return {**part, **{key: value for key, value in more.items() if value}}


def shared_width(config: Config, width: int) -> int:
    """Summed width of the shared experts: given, or their number times the width of an expert."""
    number = config.maybe(*SHARED_COUNT, low=0)
    given = config.maybe("shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", low=0)
    return given * (number or 1) if given is not None else (number or 0) * width


def sparse(config: Config, layers: int, spare: int = 0) -> list[bool] | None:
    """Which layers have experts, if the config lists them."""
    types = config.per_layer(config.words("mlp_layer_types"), "mlp_layer_types", layers, spare)
    if types is not None:
        if not set(types) <= {"dense", "sparse"}:
            config.cannot(f"an FFN of kind {next(kind for kind in types if kind not in ('dense', 'sparse'))!r}")
        return [kind == "sparse" for kind in types]
    if isinstance(config.values.get("moe_layer_freq"), list):
        frequencies = config.per_layer(config.numbers("moe_layer_freq"), "moe_layer_freq", layers, spare)
        return [bool(one) for one in frequencies or []]
    return None


def after(config: Config, layers: int, first: int) -> list[bool]:
    """Experts from layer `first` on, in every `moe_layer_freq`-th layer."""
    every = config.count("moe_layer_freq", default=1)
    return [i >= first and i % every == 0 for i in range(layers)]


def stack(mixers: Sequence[tuple[str, Part]], networks: Sequence[tuple[str, Part]]) -> list[Layer]:
    """Layers with attention and an FFN each."""
    return [Layer(mixer, {"attention": part}, name, mlp) for (mixer, part), (name, mlp) in zip(mixers, networks, strict=True)]


def dense_or_moe(which: Sequence[bool], thin: Part | None, routed: Part | None) -> list[tuple[str, Part]]:
    """FFN of each layer: experts where `which` is true, else dense; one that no layer uses may be None."""
    return [("moe", routed or {}) if sparse else ("dense", thin or {}) for sparse in which]
