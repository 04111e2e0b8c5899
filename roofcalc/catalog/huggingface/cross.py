"""Llama 3.2 Vision: layers of cross-attention to the image among those of Llama 3.1."""

from roofcalc.catalog.huggingface import dense, parts
from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.plan import Plan

_IMAGE_ROWS = 8  # rows that the embedding has for image tokens and the LM head has not


def mllama(config: Config) -> Plan:
    """The layers of text; cross-attention layers take memory and are skipped without an image."""
    which = config.numbers("cross_attention_layers") or []
    count, size = parts.depth(config), parts.hidden(config)
    if len(set(which)) != len(which) or not all(0 <= i < count for i in which) or len(which) == count:
        config.refuse(f"cross_attention_layers: expected some of the layers from 0 to {count - 1}")
    attention, mlp = parts.gqa(config), parts.dense(config)
    wide = attention["heads"] * attention["head_dim"]
    projections = 2 * size * (wide + attention["kv_heads"] * attention["head_dim"])
    cross = projections + 2 * attention["head_dim"] + 3 * size * mlp["width"] + 2 * size + 2  # with QK norms, norms and two gates
    for name in parts.DEPTH:
        config.values.pop(name, None)
    config.values[parts.DEPTH[0]] = count - len(which)
    remark = f"The {len(which)} layers of cross-attention take memory; a prompt without an image skips them."
    excluded = {"cross_attention": len(which) * cross + _IMAGE_ROWS * size}
    return Plan(dense.layers(config, attention, mlp), {"excluded": excluded}, remarks=(remark,))
