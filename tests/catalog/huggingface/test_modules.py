"""Module lists of quantisation configs: what a list contains does not depend on what it was asked before."""

import pytest

from roofcalc.catalog.huggingface.config import Config
from roofcalc.catalog.huggingface.modules import EMBED, HEAD, matcher

MODULES = ("self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.experts.0.down_proj", "mlp.experts.1.down_proj", HEAD, EMBED)
LAYERS = (0, 1, 2, 9, 10, 11, 12, 99, 100)
LISTS = (
    ["lm_head", "q_proj"],
    ["model.layers.1.mlp", "model.layers.10.self_attn.q_proj", "re:.*self_attn.*"],
    ["model.layers.*.mlp.up_proj", "model.layers.11*"],
    ["re:.*layers\\.1.*mlp.*"],  # layers 1, 10 to 12 and 100
    ["re:.*layers\\.\\d+\\.mlp\\.up_proj", "embed_tokens"],
    ["re:.*layers...\\.self_attn.*"],  # numbers of two digits
    ["*.layers.[12].*", "*self_attn*"],
    ["model.layers.??.mlp.*", "*experts.1*"],
    ["model.layers.0.mlp"],
)


@pytest.mark.parametrize("entries", LISTS, ids=str)
def test_a_list_answers_alike_in_any_order(entries: list[str]) -> None:
    quant = Config({}, "config.json")
    asked = matcher(quant, entries)
    in_order = {(layer, module): asked(layer, module) for layer in LAYERS for module in MODULES}
    alone = {(layer, module): matcher(quant, entries)(layer, module) for layer in LAYERS for module in MODULES}
    assert in_order == alone and len(set(in_order.values())) == 2


@pytest.mark.parametrize(
    ("entries", "module", "layers"),
    [
        (LISTS[1], "mlp.up_proj", {1}),
        (LISTS[3], "mlp.up_proj", {1, 10, 11, 12, 100}),
        (LISTS[4], "mlp.up_proj", set(LAYERS)),
        (LISTS[5], "self_attn.q_proj", {9 + n for n in range(1, 4)} | {99}),
        (LISTS[6], "mlp.up_proj", {1, 2}),
        (LISTS[7], "mlp.up_proj", {10, 11, 12, 99}),
        (LISTS[8], "mlp.up_proj", {0}),
    ],
)
def test_layers_of_a_list(entries: list[str], module: str, layers: set[int]) -> None:
    contains = matcher(Config({}, "config.json"), entries)
    assert {layer for layer in LAYERS if contains(layer, module)} == layers
