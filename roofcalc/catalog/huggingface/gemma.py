"""Gemma: windows from the second generation on; look-up tables of each layer's own and borrowed caches in 3n and 4's small sizes."""

from roofcalc.catalog.huggingface import dense, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Part, Plan
from roofcalc.catalog.huggingface.windows import every


def gemma(config: Config) -> Plan:
    return Plan(dense.layers(config, parts.gqa(config, parts.biased(config, "qkvo")), parts.dense(config)))


def gemma2(config: Config) -> Plan:
    """Every second layer is full, beginning with a windowed one."""
    pattern = every(parts.depth(config), config.count("sliding_window_pattern", "_sliding_window_pattern", default=2))
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    return Plan(dense.layers(config, attention, parts.dense(config), parts.window(config), pattern), {"norms": 4})


def gemma3(config: Config) -> Plan:
    """Every sixth layer is full. The makers' own files leave out what equals these defaults."""
    for name, usual in (("num_attention_heads", 8), ("num_key_value_heads", 4), ("head_dim", 256)):
        config.values.setdefault(name, usual)
    pattern = every(parts.depth(config), config.count("sliding_window_pattern", "_sliding_window_pattern", default=6))
    config.ignore("use_bidirectional_attention")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    return Plan(dense.layers(config, attention, parts.dense(config), parts.window(config), pattern), {"norms": 4})


def gemma3n(config: Config) -> Plan:
    """Four residual streams, a low-rank branch beside the network, a look-up of each layer's own; the last layers borrow caches."""
    count = parts.depth(config)
    config.ignore("altup_active_idx", "altup_coef_clip", "altup_correct_scale", "activation_sparsity_pattern")
    width = config.values.get("intermediate_size")
    if isinstance(width, list) and width and len(width) == count and all(one == width[0] for one in width):
        config.values["intermediate_size"] = width[0]
    table, side = _own_embedding(config, count)
    types = parts.layer_types(config, count) or every(count, 5)
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    mixers = parts.spans(config, attention, types, parts.window(config))
    mlp = {**parts.dense(config), "side": side + config.count("laurel_rank")}
    fields = {"norms": 6, "altup": config.count("altup_num_inputs"), "extra_embed": table}
    return Plan(parts.stack(_borrowing(config, mixers, {"kv": "shared"}), [("", mlp)] * count), fields)


def gemma4(config: Config) -> Plan:
    """Full layers have heads of their own size, whose one vector may be key and value; experts stand beside the dense network."""
    config.ignore("use_bidirectional_attention")
    count = parts.depth(config)
    types = parts.layer_types(config, count) or config.refuse("layer_types is missing")
    local = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    full = {**local, "head_dim": config.count("global_head_dim")}
    global_heads = config.maybe("num_global_key_value_heads")
    if config.flag("attention_k_eq_v"):
        full.update(kv_heads=global_heads or local["kv_heads"], shared_kv=True)
    mixers = parts.spans(config, full, types, parts.window(config), local)
    mixers = _borrowing(config, mixers, {"kv": "shared", "kv_proj": False})
    mlp, norms = parts.dense(config), 4
    fields: dict[str, object] = {"layer_scale": True}
    if config.maybe("hidden_size_per_layer_input", low=0):
        fields["extra_embed"], mlp["side"] = _own_embedding(config, count)
        norms = 5
    config.ignore("vocab_size_per_layer_input")
    if config.flag("enable_moe_block"):
        mlp = parts.experts(config, config.count("moe_intermediate_size"), mlp["width"], router_bias=True)
        norms = 8  # three more around the experts, and the router's scale
    else:
        config.ignore(*parts.EXPERTS, *parts.TOP_K, "moe_intermediate_size")
    wide = {**mlp, "width": 2 * mlp["width"]} if config.flag("use_double_wide_mlp") else mlp
    networks = [("wide" if wide is not mlp and part.get("kv") else "thin", wide if part.get("kv") else mlp) for _, part in mixers]
    return Plan(parts.stack(mixers, networks), {"norms": norms, **fields})


def _own_embedding(config: Config, count: int) -> tuple[Part, int]:
    """The look-up table of every layer's own input, and the width of the plain network that takes a slice in."""
    each = config.count("hidden_size_per_layer_input")
    return {"rows": config.count("vocab_size_per_layer_input"), "dim": count * each, "per_layer": each, "offload": True}, each


def _borrowing(config: Config, mixers: list[tuple[str, Part]], how: Part) -> list[tuple[str, Part]]:
    """The last `num_kv_shared_layers` use the cache of the last layer of their kind before."""
    own = len(mixers) - config.count("num_kv_shared_layers", low=0, high=len(mixers) - 1, default=0)
    return [*mixers[:own], *((f"{name}_borrowing", {**part, **how}) for name, part in mixers[own:])]
