"""Nemotron models from neural architecture search: attention and FFN differ between layers or are omitted."""

from roofcalc.catalog.huggingface import parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Layer, Part, Plan


def nemotron_nas(config: Config) -> Plan:
    """KV heads follow from `n_heads_in_group`, widths from a multiple of the hidden size, rounded up to 256."""
    count, heads = parts.depth(config), config.count(*parts.HEADS)
    size, bias = parts.head_dim(config, heads), parts.biased(config, "qkvo")
    config.ignore("intermediate_size", *parts.KV_HEADS)
    if config.flag("mlp_bias"):
        config.cannot("mlp_bias in this type")
    layers = []
    for each in config.per_layer(config.sections("block_configs"), "block_configs", count) or []:
        attention, ffn = each.section("attention"), each.section("ffn")
        if attention is None or ffn is None:
            each.refuse(f"{'attention' if attention is None else 'ffn'} is missing")
        for part in (attention, ffn):
            part.ignore("sparsify", "unshifted_sink", "use_prefill_window_in_sink_attention", "replace_with_linear")
            if part.flag("replace_with_linear"):
                part.cannot("a part replaced by one matrix (replace_with_linear)")
        for name in ("window_length", "num_sink_tokens"):
            if attention.maybe(name, low=0) is not None:
                attention.cannot(name)
        mixer, mixing = "", dict[str, Part]()
        if not attention.flag("no_op"):
            group = attention.count("n_heads_in_group")
            if heads % group:
                attention.refuse(f"n_heads_in_group {group} does not divide the {heads} heads")
            biases = {"bias": bias} if bias != "none" else {}
            mixer, mixing = f"a{group}", {"attention": {"heads": heads, "kv_heads": heads // group, "head_dim": size, **biases}}
        attention.ignore("n_heads_in_group")
        width = 0 if ffn.flag("no_op") else _width(ffn, parts.hidden(config))
        ffn.ignore("ffn_mult", "intermediate_size")
        config.inner += [attention, ffn]
        layers.append(Layer(mixer, mixing, f"w{width}" if width else "", parts.network(width) if width else None))
    return Plan(layers)


def _width(ffn: Config, hidden: int) -> int:
    """Width of the FFN: given, or 2/3 of the multiple of the hidden size, rounded up to 256."""
    given = ffn.maybe("intermediate_size")
    if given is not None:
        return given
    return -(-int(2 * ffn.number("ffn_mult", 1e-3, 1e6) * hidden / 3) // 256) * 256
