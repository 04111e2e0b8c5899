"""Module names of each weight matrix in checkpoints, and matching of the module lists of quantisation configs."""

import fnmatch
import re
from collections.abc import Callable
from functools import lru_cache

from roofcalc.catalog.huggingface.config import Config

Test = Callable[[int, str], bool]  # (layer, module) -> whether a list contains the module
Naming = tuple[tuple[str, ...], ...]  # ways to name a matrix, each of one or more modules

HEAD, EMBED = "lm_head", "embed_tokens"

# Where the modules of a class are within a layer, and what they are called there; a matrix may consist of several modules.
_PLACES: dict[str, tuple[str, ...]] = {
    "attention": ("self_attn", "attention", "mixer", "attn", "self_attention"),
    "state": ("linear_attn", "mixer", "mamba", "self_attn", "conv"),
    "mlp": ("mlp", "mixer", "feed_forward", "ffn"),
    "experts": (
        *(f"{place}.experts.0" for place in ("mlp", "block_sparse_moe", "feed_forward", "mixer", "ffn")),
        *(f"{place}.experts" for place in ("mlp", "block_sparse_moe", "feed_forward", "mixer", "ffn")),
    ),
    "shared": (
        *("mlp.shared_experts", "mlp.shared_expert", "block_sparse_moe.shared_experts", "feed_forward.shared_expert"),
        *("mixer.shared_experts", "ffn.shared_experts", "mlp.shared_mlp", "shared_mlp"),
    ),
}
# Types whose modules are elsewhere: Gemma 4 has its experts beside a dense network, which is our shared one.
# DeepSeek V3.2 quantises its indexer as all else; DeepSeek V4 and others keep theirs in 16 bits.
_OTHER_PLACES: dict[str, dict[str, tuple[str, ...]]] = {
    "gemma4_text": {"experts": ("experts.0", "experts", "moe.experts.0", "moe.experts"), "shared": ("mlp",)},
    "deepseek_v32": {"index": ("self_attn.indexer",)},
    "glm_moe_dsa": {"index": ("self_attn.indexer",)},
}
_UP: Naming = (("gate_proj", "up_proj"), ("gate_up_proj",), ("up_proj",), ("w1", "w3"), ("w1", "w2", "w3"), ("fc1",), ("c_fc",), ("dense_h_to_4h",))
_DOWN: Naming = (("down_proj",), ("w2",), ("fc2",), ("c_proj",), ("dense_4h_to_h",))
_QKV: Naming = (("q_proj", "k_proj", "v_proj"), ("qkv_proj",), ("query_key_value",), ("Wqkv",), ("c_attn",), ("wq", "wk", "wv"))
_LEAVES: dict[str, dict[str, Naming]] = {
    "attention": {
        "qkv": _QKV,
        "q": (("q_proj",), ("wq",)),
        "kv": (("k_proj", "v_proj"), ("wkv",)),
        "q_down": (("q_a_proj",), ("fused_qkv_a_proj_with_mqa",), ("wq_a",)),
        "q_up": (("q_b_proj",), ("q_proj",), ("wq_b",)),
        "kv_down": (("kv_a_proj_with_mqa",), ("fused_qkv_a_proj_with_mqa",), ("wkv_a",)),
        "k_up": (("kv_b_proj",), ("wkv_b",)),
        "v_up": (("kv_b_proj",), ("wkv_b",)),
        "o_groups": (("wo_a",), ("o_a_proj",)),
        "o": (("o_proj",), ("out_proj",), ("dense",), ("wo",), ("wo_b",), ("o_b_proj",), ("c_proj",)),
        "gate": (("g_proj",), ("gate_proj",), ("q_proj",)),
        "head_gate": (("g_proj",), ("gate_proj",), ("q_proj",)),
    },
    "state": {
        "in": (("in_proj_qkvz",), ("in_proj_qkv", "in_proj_z"), ("in_proj",)),
        "gates": (("in_proj_ba",), ("in_proj_a", "in_proj_b")),
        "qkv": (("q_proj", "k_proj", "v_proj"), ("qkv_proj",)),
        "out": (("out_proj",), ("o_proj",)),
        "gate": (("output_gate",), ("g_proj",)),
    },
    "index": {"index_q": (("wq_b",),), "index_k": (("wk",),), "index_weights": (("weights_proj",),)},
    "mlp": {"up": _UP, "down": _DOWN},
    "experts": {"expert_up": _UP, "expert_down": _DOWN},
    "shared": {"shared_up": _UP, "shared_down": _DOWN},
}


@lru_cache(maxsize=1024)
def naming(kind: str, tensor: str, matrix: str) -> Naming:
    """The module names that a matrix of a class may have in models of a type; empty for a matrix that no list names by itself."""
    places = _OTHER_PLACES.get(kind, {}).get(tensor, _PLACES.get(tensor, ()))
    leaves = _LEAVES.get(tensor, {}).get(matrix, ())
    return tuple(tuple(f"{place}.{leaf}" for leaf in leaf_set) for place in places for leaf_set in leaves)


def names(test: Test, layer: int, ways: Naming) -> bool:
    """Whether a list contains a matrix: all modules of one way to name it."""
    return any(all(test(layer, module) for module in way) for way in ways)


# Regular expressions that are accepted: letters, escaped dots, `.*`, groups of alternatives, anchors; nothing that backtracks badly.
_SAFE_PATTERN = re.compile(r"(?:[\w-]|\\\.|\.\*|\.|\\d\+|\(\?:|\(|\)|\||\^|\$|\[\d-\d\]\+?)*")
_NESTED = re.compile(r"\)[*+?{]|\([^)]*\((?!\?:)")


_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d+|\*)(?:\.|$)(.*)")
_PREFIXES = ("model.layers", "model.language_model.layers", "language_model.model.layers", "language_model.layers", "backbone.layers", "layers")
_HEADS = (HEAD, "language_model.lm_head", "model.lm_head", "head", "output")
_EMBEDS = ("model.embed_tokens", "model.language_model.embed_tokens", "language_model.model.embed_tokens", "embed", EMBED)


def matcher(quant: Config, entries: list[str]) -> Test:
    """A test for a module list whose entries are module names, parts of their paths, globs, or `re:` and a regular expression."""
    whole, by_layer, patterns = set(), set(), []
    globs: dict[str, list[str]] = {}  # by the number of the layer that they name
    for entry in entries:
        found = _LAYER.search(entry)
        if entry.startswith("re:"):
            patterns.append(_pattern(quant, entry[3:]))
        elif found and not any(mark in found.group(2) for mark in "*?["):
            by_layer.add((found.group(1), found.group(2)))
        elif any(mark in entry for mark in "*?["):
            globs.setdefault(found.group(1) if found else "*", []).append(entry)
        else:
            whole.add(entry)

    # A layer's number matters where an entry names it, or has a digit that a pattern or glob could find in it; else only its length.
    of_any_layer = [*(pattern.pattern for pattern in patterns), *globs.get("*", ())]
    numbered = any(re.search(r"[\d\[]", text) for text in of_any_layer)
    named = {number for number, _ in by_layer} | set(globs)
    known: dict[tuple[str, str], bool] = {}

    def matches(layer: int, module: str) -> bool:
        number = str(layer)
        key = (number if numbered or number in named else "n" * len(number), module)
        if key not in known:
            known[key] = lists(number, module)
        return known[key]

    def lists(layer: str, module: str) -> bool:
        if module in (HEAD, EMBED):
            full = _HEADS if module == HEAD else _EMBEDS
            return bool(whole & set(full)) or any(_full(name, "*", globs, patterns) for name in full)
        steps = module.split(".")
        heads = [".".join(steps[:n]) for n in range(len(steps) + 1)]
        if any((layer, head) in by_layer or ("*", head) in by_layer for head in heads):
            return True
        inner = {".".join(steps[a:b]) for a in range(len(steps)) for b in range(a + 1, len(steps) + 1)}
        if inner & whole:
            return True
        return any(_full(f"{prefix}.{layer}.{module}", layer, globs, patterns) for prefix in _PREFIXES if globs or patterns)

    return matches


def _full(name: str, layer: str, globs: dict[str, list[str]], patterns: list[re.Pattern[str]]) -> bool:
    listed = (*globs.get(layer, ()), *(globs.get("*", ()) if layer != "*" else ()))
    return any(fnmatch.fnmatchcase(name, glob) for glob in listed) or any(pattern.match(name) for pattern in patterns)


def everything(head: bool = False) -> Test:
    """A test for all modules of the layers, and for the LM head."""
    return lambda layer, module: module != EMBED and (head or module != HEAD)


def _pattern(quant: Config, text: str) -> re.Pattern[str]:
    if len(text) > 300 or text.count("*") + text.count("+") > 6 or not _SAFE_PATTERN.fullmatch(text) or _NESTED.search(text):
        quant.cannot(f"the module pattern {text[:60]!r}")
    try:
        return re.compile(text)
    except re.error:
        quant.refuse(f"the module pattern {text[:60]!r} is not a valid regular expression")
