"""Module names of each tensor class in checkpoints, and matching of the module lists of quantisation configs."""

import fnmatch
import re
from collections.abc import Callable

from roofcalc.catalog.huggingface.config import Config

Test = Callable[[int, str], bool]  # (layer, module) -> whether a list contains the module

# Module names of a layer by tensor class; each entry is one naming convention for all matrices of the class.
MODULES: dict[str, tuple[tuple[str, ...], ...]] = {
    "attention": (
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
        ("self_attn.qkv_proj", "self_attn.o_proj"),
        ("self_attn.q_a_proj", "self_attn.q_b_proj", "self_attn.kv_a_proj_with_mqa", "self_attn.kv_b_proj", "self_attn.o_proj"),
        ("self_attn.q_proj", "self_attn.kv_a_proj_with_mqa", "self_attn.kv_b_proj", "self_attn.o_proj"),
        ("mixer.q_proj", "mixer.k_proj", "mixer.v_proj", "mixer.o_proj"),
    ),
    "state": (
        ("linear_attn.in_proj_qkvz", "linear_attn.out_proj"),
        ("linear_attn.in_proj_qkv", "linear_attn.in_proj_z", "linear_attn.out_proj"),
        ("mixer.in_proj", "mixer.out_proj"),
        ("mamba.in_proj", "mamba.out_proj"),
        ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
        ("self_attn.qkv_proj", "self_attn.out_proj"),
    ),
    "mlp": (
        ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
        ("mlp.gate_up_proj", "mlp.down_proj"),
        ("mlp.up_proj", "mlp.down_proj"),
        ("mixer.up_proj", "mixer.down_proj"),
        ("feed_forward.gate_proj", "feed_forward.up_proj", "feed_forward.down_proj"),
    ),
    "experts": (
        ("mlp.experts.0.gate_proj", "mlp.experts.0.up_proj", "mlp.experts.0.down_proj"),
        ("mlp.experts.gate_up_proj", "mlp.experts.down_proj"),
        ("block_sparse_moe.experts.0.w1", "block_sparse_moe.experts.0.w2", "block_sparse_moe.experts.0.w3"),
        ("block_sparse_moe.experts.0.gate_proj", "block_sparse_moe.experts.0.up_proj", "block_sparse_moe.experts.0.down_proj"),
        ("feed_forward.experts.gate_up_proj", "feed_forward.experts.down_proj"),
        ("mixer.experts.0.up_proj", "mixer.experts.0.down_proj"),
    ),
    "shared": (
        ("mlp.shared_experts.gate_proj", "mlp.shared_experts.up_proj", "mlp.shared_experts.down_proj"),
        ("mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj", "mlp.shared_expert.down_proj"),
        ("block_sparse_moe.shared_experts.gate_proj", "block_sparse_moe.shared_experts.up_proj", "block_sparse_moe.shared_experts.down_proj"),
        ("feed_forward.shared_expert.gate_proj", "feed_forward.shared_expert.up_proj", "feed_forward.shared_expert.down_proj"),
        ("mixer.shared_experts.up_proj", "mixer.shared_experts.down_proj"),
    ),
}
HEAD = "lm_head"

# Regular expressions that are accepted: letters, escaped dots, `.*`, groups of alternatives, anchors; nothing that backtracks badly.
_SAFE_PATTERN = re.compile(r"(?:[\w-]|\\\.|\.\*|\.|\\d\+|\(|\)|\||\^|\$|\[\d-\d\]\+?)*")
_NESTED = re.compile(r"\)[*+?{]|\([^)]*\(")


_LAYER = re.compile(r"(?:^|\.)layers\.(\d+|\*)(?:\.|$)(.*)")


def matcher(quant: Config, entries: list[str]) -> Test:
    """A test for a module list whose entries are module names, parts of their paths, globs, or `re:` and a regular expression."""
    whole, by_layer, globs, patterns = set(), set(), [], []
    for entry in entries:
        if entry.startswith("re:"):
            patterns.append(_pattern(quant, entry[3:]))
        elif (layer_match := _LAYER.search(entry)) and "*" not in layer_match.group(2):
            by_layer.add((layer_match.group(1), layer_match.group(2)))
        elif any(mark in entry for mark in "*?["):
            globs.append(entry)
        else:
            whole.add(entry)

    def matches(layer: int, module: str) -> bool:
        steps = module.split(".")
        heads = [".".join(steps[:n]) for n in range(len(steps) + 1)]
        if any((str(layer), head) in by_layer or ("*", head) in by_layer for head in heads):
            return True
        inner = {".".join(steps[a:b]) for a in range(len(steps)) for b in range(a + 1, len(steps) + 1)}
        if inner & whole:
            return True
        full = module if module == HEAD else f"model.layers.{layer}.{module}"
        return any(fnmatch.fnmatchcase(full, glob) for glob in globs) or any(pattern.match(full) for pattern in patterns)

    return matches


def _pattern(quant: Config, text: str) -> re.Pattern[str]:
    if len(text) > 300 or text.count("*") + text.count("+") > 6 or not _SAFE_PATTERN.fullmatch(text) or _NESTED.search(text):
        quant.cannot(f"the module pattern {text[:60]!r}")
    try:
        return re.compile(text)
    except re.error:
        quant.refuse(f"the module pattern {text[:60]!r} is not a valid regular expression")
