"""Gemma: windows from the second generation on, other heads in the full layers of the fourth."""

from roofcalc.huggingface import dense, parts
from roofcalc.huggingface.config import Config
from roofcalc.huggingface.plan import Plan
from roofcalc.huggingface.windows import every


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


def gemma4(config: Config) -> Plan:
    """Full layers have heads of their own size, whose one vector may be key and value; experts stand beside the dense network."""
    if config.maybe("hidden_size_per_layer_input", low=0):
        config.cannot("an input of its own to every layer (hidden_size_per_layer_input)")
    if config.maybe("num_kv_shared_layers", low=0):
        config.cannot("caches shared by layers whose networks differ (num_kv_shared_layers)")
    config.ignore("vocab_size_per_layer_input", "use_double_wide_mlp", "use_bidirectional_attention")
    count = parts.depth(config)
    types = parts.layer_types(config, count) or config.refuse("layer_types is missing")
    local = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    full = {**local, "head_dim": config.count("global_head_dim")}
    global_heads = config.maybe("num_global_key_value_heads")
    if config.flag("attention_k_eq_v"):
        full.update(kv_heads=global_heads or local["kv_heads"], shared_kv=True)
    mixers = parts.spans(config, full, types, parts.window(config), local)
    mlp, norms = parts.dense(config), 4
    if config.flag("enable_moe_block"):
        mlp = parts.experts(config, config.count("moe_intermediate_size"), mlp["width"], router_bias=True)
        norms = 8  # three more around the experts, and the router's scale
    else:
        config.ignore(*parts.EXPERTS, *parts.TOP_K, "moe_intermediate_size")
    return Plan(parts.stack(mixers, [("", mlp)] * count), {"norms": norms})
