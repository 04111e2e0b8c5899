"""llama.cpp's `--override-tensor PATTERN=CPU` where it moves routed experts alone, as `--cpu-moe` and `--n-cpu-moe` do.

A pattern is a regular expression that is searched for in the names of tensors: github.com/ggml-org/llama.cpp/blob/00dc8057ab28/
tools/server/README.md, whose `--n-cpu-moe` stands for `blk\\.N\\.ffn_(up|down|gate)_exps=CPU` of its first layers.
"""

from __future__ import annotations

import re

from roofcalc.deployment.offload import layers_with_experts
from roofcalc.specs.model import Model

_EXPERTS = ("ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")
_OTHERS = (
    *("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate_inp", "ffn_gate", "ffn_up", "ffn_down"),
    *("ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"),
)
_OUTER = ("token_embd.weight", "output_norm.weight", "output.weight")


def experts_on_cpu(written: str, model: Model) -> str | None:
    """What `--offload` calls the same, or None where that moves other tensors, parts of layers, or nothing to the CPUs.

    Parameters
    ----------
    written : str
        What follows the flag, several of them separated by commas.
    """
    patterns = []
    for part in written.split(","):
        pattern, _, where = part.rpartition("=")
        if not pattern or where.strip().upper() != "CPU":
            return None
        try:
            patterns.append(re.compile(pattern))
        except re.error:
            return None
    blocks, having = [name for name, layers in model.runs for _ in range(layers)], layers_with_experts(model)

    def moved(name: str) -> bool:
        return any(pattern.search(name) for pattern in patterns)

    layers = 0
    for number, block in enumerate(blocks):
        experts = [moved(f"blk.{number}.{name}.weight") for name in _EXPERTS]
        if any(moved(f"blk.{number}.{name}.weight") for name in _OTHERS) or any(experts) != all(experts):
            return None
        layers += block in having and all(experts)
    if not layers or any(moved(name) for name in _OUTER):
        return None
    return "experts=cpu" if layers == sum(having.values()) else f"experts=cpu:{layers}"
