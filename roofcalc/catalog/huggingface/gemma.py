"""Gemma: sliding windows from Gemma 2 on; per-layer embeddings and shared KV caches in Gemma 3n and the small sizes of Gemma 4."""

from roofcalc.catalog.huggingface import dense, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.parts import FULL
from roofcalc.catalog.huggingface.plan import Part, Plan
from roofcalc.catalog.huggingface.windows import every


def gemma(config: Config) -> Plan:
    """Gemma 1."""
    return Plan(dense.layers(config, parts.gqa(config, parts.biased(config, "qkvo")), parts.dense(config)))


def gemma2(config: Config) -> Plan:
    """Gemma 2: windowed and full layers alternate, beginning with a windowed one."""
    pattern = every(parts.depth(config), config.count("sliding_window_pattern", "_sliding_window_pattern", default=2))
    attention = parts.gqa(config, parts.biased(config, "qkvo"))
    return Plan(dense.layers(config, attention, parts.dense(config), parts.window(config), pattern), {"norms": 4})


def gemma3(config: Config) -> Plan:
    """Gemma 3: every sixth layer has full attention. Published files omit values that equal these defaults."""
    for name, default in (("num_attention_heads", 8), ("num_key_value_heads", 4), ("head_dim", 256)):
        config.values.setdefault(name, default)
    pattern = every(parts.depth(config), config.count("sliding_window_pattern", "_sliding_window_pattern", default=6))
    config.ignore("use_bidirectional_attention")
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    return Plan(dense.layers(config, attention, parts.dense(config), parts.window(config), pattern), {"norms": 4})


def gemma3n(config: Config) -> Plan:
    """Gemma 3n: four residual streams, a low-rank branch parallel to the FFN, per-layer embeddings; the last layers share KV caches."""
    count = parts.depth(config)
    config.ignore("altup_active_idx", "altup_coef_clip", "altup_correct_scale", "activation_sparsity_pattern")
    width = config.values.get("intermediate_size")
    if isinstance(width, list) and width and len(width) == count and all(one == width[0] for one in width):
        config.values["intermediate_size"] = width[0]
    table, side = _per_layer_embedding(config, count)
    types = parts.layer_types(config, count) or every(count, 5)
    attention = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    mixers = parts.spans(config, attention, types, parts.window(config))
    mlp = {**parts.dense(config), "side": side + config.count("laurel_rank")}
    fields = {"norms": 6, "altup": config.count("altup_num_inputs"), "extra_embed": table}
    return Plan(parts.stack(_with_shared_kv(config, mixers, {"kv": "shared"}), [("", mlp)] * count), fields)


def gemma4(config: Config) -> Plan:
    """Gemma 4: other head sizes in full layers, where keys may equal values; experts are parallel to the dense FFN."""
    config.ignore("use_bidirectional_attention")
    count = parts.depth(config)
    types = parts.layer_types(config, count) or config.refuse("layer_types is missing")
    local = parts.gqa(config, parts.biased(config, "qkvo"), "head")
    given, global_heads = _of_full_layers(config, types)
    full = {**local, "head_dim": given or config.count("global_head_dim")}
    global_heads = global_heads or config.maybe("num_global_key_value_heads")
    if config.flag("attention_k_eq_v"):
        full.update(kv_heads=global_heads or local["kv_heads"], shared_kv=True)
    mixers = parts.spans(config, full, types, parts.window(config), local)
    mixers = _with_shared_kv(config, mixers, {"kv": "shared", "kv_proj": False})
    mlp, norms = parts.dense(config), 4
    fields: dict[str, object] = {"layer_scale": True}
    if config.maybe("hidden_size_per_layer_input", low=0):
        fields["extra_embed"], mlp["side"] = _per_layer_embedding(config, count)
        norms = 5
    config.ignore("vocab_size_per_layer_input")
    if config.flag("enable_moe_block"):
        mlp = parts.experts(config, config.count("moe_intermediate_size"), mlp["width"], router_bias=True)
        norms = 8  # three more around the experts, and the scale of the router
    else:
        config.ignore(*parts.EXPERTS, *parts.TOP_K, "moe_intermediate_size")
    wide = {**mlp, "width": 2 * mlp["width"]} if config.flag("use_double_wide_mlp") else mlp
    networks = [("wide" if wide is not mlp and part.get("kv") else "thin", wide if part.get("kv") else mlp) for _, part in mixers]
    return Plan(parts.stack(mixers, networks), {"norms": norms, **fields})


def _of_full_layers(config: Config, types: list[str]) -> tuple[int | None, int | None]:
    """Head size and KV heads of the full layers where `per_layer_config` lists them by layer, as transformers 5.24 saves them."""
    listed = config.section("per_layer_config")
    if listed is None:
        return None, None
    found: dict[int, tuple[int | None, int | None]] = {}
    for key in listed.values:
        one = listed.section(key)
        if one is None or not key.isdigit() or int(key) >= len(types):
            listed.refuse(f"expected settings of layers from 0 to {len(types) - 1}, got the key {key!r}")
        found[int(key)] = one.maybe("head_dim"), one.maybe("num_key_value_heads")
    full = {i for i, kind in enumerate(types) if kind == FULL}
    if set(found) != full or len(set(found.values())) != 1:
        listed.cannot("settings other than the same ones for each layer with full attention")
    config.ignore("global_head_dim", "num_global_key_value_heads")
    return next(iter(found.values()))


def _per_layer_embedding(config: Config, count: int) -> tuple[Part, int]:
    """The per-layer embedding table, and the width of the ungated FFN that adds a layer's slice."""
    each = config.count("hidden_size_per_layer_input")
    return {"rows": config.count("vocab_size_per_layer_input"), "dim": count * each, "per_layer": each, "offload": True}, each


def _with_shared_kv(config: Config, mixers: list[tuple[str, Part]], how: Part) -> list[tuple[str, Part]]:
    """The last `num_kv_shared_layers` layers use the KV cache of the last earlier layer of their kind."""
    first_sharing = len(mixers) - config.count("num_kv_shared_layers", low=0, high=len(mixers) - 1, default=0)
    return [*mixers[:first_sharing], *((f"{name}_shared_kv", {**part, **how}) for name, part in mixers[first_sharing:])]
