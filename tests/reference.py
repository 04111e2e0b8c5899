"""A second way to every figure: the formulas of a dense model's step written out naively, one layer and one device at a time.

Shares no code with roofcalc's engine: it reads only the catalog's figures, and loops where the engine multiplies.
"""

import math
from typing import Any

BYTES = {"bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int4": 0.5 + 2 / 128, "nvfp4": 0.5625, "int8": 1.0, "fp32": 4.0}
ARITHMETIC = {"bf16": "bf16", "fp16": "fp16", "fp8": "fp8", "int4": "bf16", "nvfp4": "fp4", "int8": "int8", "fp32": "fp32"}
WIDER = {"fp4": ["fp4", "fp8", "bf16"], "fp8": ["fp8", "bf16"], "int8": ["int8", "bf16"], "bf16": ["bf16"], "fp16": ["fp16"], "fp32": ["fp32"]}


def layer_matrices(model: Any, t: int) -> tuple[list[tuple[int, int]], Any]:
    """(rows, columns) of the matrices of the only kind of layer, on one of t ranks."""
    ((name, _),) = model.groups.items()
    a, mlp, h = model.blocks[name].attention, model.blocks[name].mlp, model.hidden
    n = a.heads // t
    m = max(1, math.ceil(a.kv_heads / t))
    f = math.ceil(mlp.width / t)
    return [(h, n * a.head_dim), (h, m * a.head_dim), (h, m * a.head_dim), (n * a.head_dim, h), (h, f), (h, f), (f, h)], a


def step_seconds(model: Any, hardware: Any, weights: str, kv: str, t: int, p: int, d: int, batch: int, seq: int, network: bool = True) -> float:
    """Seconds of one decode step: each operation on its own roof, one after another (overlap `op`, no efficiencies)."""
    device = hardware.device
    h, depth = model.hidden, model.depth
    beta = device.memory.bandwidth_gb_s * 1e9
    peak = device.peak_tflop_s
    rate = next(peak[f] for f in WIDER[ARITHMETIC[weights]] if f in peak) * 1e12
    attention_rate = (peak["fp8"] if kv == "fp8" and "fp8" in peak else peak["bf16"]) * 1e12
    micro = math.ceil(batch / p)
    sequences = math.ceil(micro / d)
    matrices, a = layer_matrices(model, t)
    m = max(1, math.ceil(a.kv_heads / t))
    fused = [matrices[0][1] + matrices[1][1] + matrices[2][1], matrices[4][1] + matrices[5][1]]
    times = []
    for stage in range(p):
        layers = depth // p + (1 if stage < depth % p else 0)
        total = 0.0
        for _ in range(layers):
            for rows, cols in [(h, fused[0]), matrices[3], (h, fused[1]), matrices[6]]:
                total += max(2 * sequences * rows * cols / rate, rows * cols * BYTES[weights] / beta)
            flops = bytes_ = 0.0
            for _ in range(sequences):
                flops += 2 * (a.heads // t) * (a.head_dim + a.head_dim) * seq
                bytes_ += seq * m * 2 * a.head_dim * BYTES[kv]
            total += max(flops / attention_rate, bytes_ / beta)
            if network and t > 1:
                total += 2 * all_reduce_seconds(hardware, sequences * h * 2.0, t)
        if stage == p - 1:
            cols = math.ceil(model.vocab / t)
            total += max(2 * sequences * h * cols / rate, h * cols * BYTES[weights] / beta)
        elif network:
            total += send_seconds(hardware, sequences * h * 2.0 / t, stage, t * d)
        times.append(total)
    return p * max(times) if batch >= p else sum(times)


def all_reduce_seconds(hardware: Any, size: float, g: int) -> float:
    link, domain = hardware.link, hardware.link.domain if hardware.link else 1
    if g <= domain:
        pair = link.pair_gb_s
        rate = (min((g - 1) * pair, link.gb_s) if pair else link.gb_s) * 1e9
        ring = 2 * size * (g - 1) / (g * rate)
        return min(ring, size * (1 + 1 / g) / rate) if link.reduce else ring
    domains = math.ceil(g / domain)
    inside = 2 * size * (domain - 1) / (domain * link.gb_s * 1e9) if domain > 1 else 0.0
    return inside + 2 * (size / domain) * (domains - 1) / (domains * hardware.scale_out_bytes_per_s)


def send_seconds(hardware: Any, size: float, stage: int, width: int) -> float:
    domain = hardware.link.domain if hardware.link else 1
    ranks = range(stage * width, (stage + 1) * width)
    if any(rank // domain != (rank + width) // domain for rank in ranks):
        return size / hardware.scale_out_bytes_per_s
    return size / ((hardware.link.pair_gb_s or hardware.link.gb_s) * 1e9)
