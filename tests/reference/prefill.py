"""A second way to the time to first token: one layer, one sequence and one token at a time.

Shares no code with roofcalc's engine: it reads only the catalog's figures, and counts what the engine has closed forms for.
Every operation on its own roof, one after another (overlap `op`); the devices' own rates; switched links.
"""

import math
from typing import Any

WIDTHS = {"bf16": 2.0, "fp8": 1.0, "fp8-block128": 1 + 4 / 16384, "mxfp4": 0.5 + 1 / 32}
RUNS_AT = {"bf16": "bf16", "fp8": "fp8", "fp8-block128": "fp8", "mxfp4": "fp8"}


class Device:
    """Times of one device's operations, for a checkpoint's own dtypes."""

    def __init__(self, model: Any, hardware: Any) -> None:
        self.beta = hardware.device.memory.bandwidth_gb_s * 1e9
        self.peak = {name: rate * 1e12 for name, rate in hardware.device.peak_tflop_s.items()}
        self.dtypes = model.dtypes

    def dtype(self, tensor: str) -> str:
        return str(getattr(self.dtypes, tensor) or ("bf16" if tensor in ("router", "index") else self.dtypes.default))

    def linear(self, tokens: float, rows: int, cols: int, tensor: str, of: float = 1.0, read: float = 1.0) -> float:
        """A product by `read` of `of` equal matrices, each token meeting `tokens` of them in all."""
        name = self.dtype(tensor)
        return max(2 * tokens * rows * cols / self.peak[RUNS_AT[name]], read * of * rows * cols * WIDTHS[name] / self.beta)

    def other(self, flops: float, moved: float, format: str = "bf16") -> float:
        return max(flops / self.peak[format], moved / self.beta)


def ttft_seconds(model: Any, hardware: Any, t: int, p: int, d: int, batch: int, new: int, cached: int, spread: bool = False) -> float:
    """Seconds of a prefill in one step; `spread` experts lie whole on the t·d ranks, else each is divided over all."""
    device = Device(model, hardware)
    names = [name for name, count in model.runs for _ in range(count)]
    micro = math.ceil(batch / p)
    sequences = math.ceil(micro / d)
    of_block = {
        name: layer(device, model, hardware, model.blocks[name], t, d, sequences, micro, new, cached, spread) for name in dict.fromkeys(names)
    }
    total, at = 0.0, 0
    for stage in range(p):
        depth = len(names) // p + (1 if stage < len(names) % p else 0)
        for name in names[at : at + depth]:
            total += of_block[name]
        at += depth
        if stage == p - 1:
            total += device.linear(sequences, model.hidden, math.ceil(model.vocab / t), "head")
        else:
            width = model.hidden * (model.hyper_connections or 1)
            total += send_seconds(hardware, sequences * new * width * 2.0 / t, stage, t * d)
    return total


def layer(
    device: Device, model: Any, hardware: Any, block: Any, t: int, d: int, sequences: int, micro: int, new: int, cached: int, spread: bool
) -> float:
    h, tokens = model.hidden, sequences * new
    seconds = 0.0
    if block.attention is not None:
        kind = {"gqa": heads, "mla": latent, "pooled": pool}[block.attention.type]
        seconds += kind(device, block.attention, h, t, sequences, new, cached)
    if block.state is not None:
        seconds += delta_net(device, block.state, h, t, sequences, new)
    exchanged = False
    if block.mlp is not None and block.mlp.type == "dense":
        width = math.ceil(block.mlp.width / t)
        up = 1 if block.mlp.plain else 2
        seconds += device.linear(tokens, h, up * width, "mlp") + device.linear(tokens, width, h, "mlp")
    elif block.mlp is not None:
        seconds += experts(device, block.mlp, h, t, d, tokens, micro * new)
        exchanged = d > 1
        if exchanged:
            seconds += exchange(hardware, block.mlp, h, t, d, tokens, spread, device)
    sums = (block.attention is not None or block.state is not None) + (block.mlp is not None and not exchanged)
    if t > 1:
        seconds += sums * all_reduce_seconds(hardware, tokens * h * 2.0, t)
    return seconds


def visible(seq: int, window: int | None) -> int:
    """Tokens that the one at position `seq` looks at, itself included."""
    return sum(1 for position in range(1, seq + 1) if window is None or position > seq - window)


def kept(new: int, cached: int, window: int | None) -> tuple[int, int]:
    """Cached tokens that any new one looks at, and new ones that are still kept at the end."""
    looked_at = sum(1 for position in range(1, cached + 1) if window is None or position > cached + 1 - window)
    return looked_at, min(new, window) if window else new


def heads(device: Device, a: Any, h: int, t: int, sequences: int, new: int, cached: int) -> float:
    n, m = a.heads // t, max(1, math.ceil(a.kv_heads / t))
    d_v = a.v_dim or a.head_dim
    tokens = sequences * new
    seconds = device.linear(tokens, h, n * a.head_dim + m * (a.head_dim + d_v), "attention")
    seconds += device.linear(tokens, h, n * d_v, "attention") if a.gate else 0.0
    flops = moved = 0.0
    for _ in range(sequences):
        for i in range(1, new + 1):
            flops += 2 * n * (a.head_dim + d_v) * visible(cached + i, a.window)
        moved += sum(kept(new, cached, a.window)) * m * (a.head_dim + d_v) * 2
    return seconds + device.other(flops, moved) + device.linear(tokens, n * d_v, h, "attention")


def latent(device: Device, a: Any, h: int, t: int, sequences: int, new: int, cached: int) -> float:
    n, tokens = a.heads // t, sequences * new
    rank, rope, nope, d_v = a.kv_rank, a.rope_dim, a.nope_dim, a.v_dim
    down = device.linear(tokens, h, a.q_rank, "attention") + device.linear(tokens, a.q_rank, n * (nope + rope), "attention")
    shared = down + device.linear(tokens, h, rank + rope, "attention") + device.linear(tokens, n * d_v, h, "attention")
    looked_at = [cached + i for i in range(1, new + 1)]
    candidates = list(looked_at)
    most = a.index.top_k if a.index else math.inf
    looked_at = [min(one, most) for one in looked_at]
    moved = sequences * min(cached + new, new * most) * (rank + rope) * 2
    if a.index:
        i = a.index
        shared += device.linear(tokens, a.q_rank, i.heads * i.dim, "index") + device.linear(tokens, h, i.dim, "index")
        shared += device.linear(tokens, h, i.heads, "index")
        shared += device.other(sequences * 2 * i.heads * i.dim * sum(candidates), sequences * (cached + new) * (i.dim + 4), "fp8")
    ways = []
    for per_pair, entries in ((2 * n * (2 * rank + rope), new), (2 * n * (nope + rope + d_v), cached + new)):
        flops = sum(per_pair * one for one in looked_at)
        again = sum(2 * rank * n * (nope + d_v) for _ in range(entries)) / device.peak[RUNS_AT[device.dtype("attention")]]
        time = device.other(sequences * flops, moved)
        time += device.linear(sequences * entries, rank, n * nope, "attention") + device.linear(sequences * entries, rank, n * d_v, "attention")
        ways.append((flops / device.peak["bf16"] + again, time))
    return shared + min(ways)[1]


def pool(device: Device, a: Any, h: int, t: int, sequences: int, new: int, cached: int) -> float:
    n, tokens, dim, ratio, window = a.heads // t, sequences * new, a.head_dim, a.pool.ratio, a.pool.window
    groups = math.ceil(a.output.groups / t)
    seconds = device.linear(tokens, h, a.q_rank, "attention") + device.linear(tokens, a.q_rank, n * dim, "attention")
    seconds += device.linear(tokens, h, dim, "attention")
    seconds += device.linear(tokens, a.heads // a.output.groups * dim, a.output.rank, "attention") * groups
    seconds += device.linear(tokens, groups * a.output.rank, h, "attention")
    flops, entries = 0.0, float(sum(kept(new, cached, window)))
    index = a.pool.index if ratio else None
    for i in range(1, new + 1):
        blocks = sum(1 for position in range(1, cached + i + 1) if ratio and position % ratio == 0)
        flops += 4 * n * dim * (visible(cached + i, window) + (min(blocks, index.top_k) if index else blocks))
    if ratio:
        blocks = sum(1 for position in range(1, cached + new + 1) if position % ratio == 0)
        entries += min(blocks, new * index.top_k) if index else blocks
        wide = 2 * (2 if ratio == 4 else 1)
        seconds += device.linear(tokens, h, wide * dim, "index")
        if index:
            scores = sum(sum(1 for position in range(1, cached + i + 1) if position % ratio == 0) for i in range(1, new + 1))
            seconds += device.linear(tokens, a.q_rank, index.heads * index.dim, "index") + device.linear(tokens, h, index.heads, "index")
            seconds += device.linear(tokens, h, wide * index.dim, "index")
            seconds += device.other(sequences * 2 * index.heads * index.dim * scores, sequences * blocks * (index.dim + 4), "fp8")
    return seconds + device.other(sequences * flops, sequences * entries * dim * 2)


def delta_net(device: Device, s: Any, h: int, t: int, sequences: int, new: int) -> float:
    """Gated delta net: queries and keys of k_heads, values and gate of v_heads, two numbers per value head."""
    keys, values, tokens = s.k_heads // t * s.k_dim, s.v_heads // t * s.v_dim, sequences * new
    seconds = device.linear(tokens, h, 2 * keys + 2 * values + 2 * (s.v_heads // t), "state")
    numbers = s.v_heads // t * s.k_dim * s.v_dim
    flops = sum(8 * numbers for _ in range(tokens))
    return seconds + device.other(flops, sequences * 2 * numbers * 4) + device.linear(tokens, values, h, "state")


def experts(device: Device, e: Any, h: int, t: int, d: int, tokens: int, group_tokens: int) -> float:
    up = 1 if e.plain else 2
    seconds = device.linear(tokens, h, e.experts, "router")
    if e.shared:
        width = math.ceil(e.shared / t)
        seconds += device.linear(tokens, h, up * width, "shared") + device.linear(tokens, width, h, "shared")
    missed = 1.0
    for _ in range(group_tokens):
        missed *= 1 - e.top_k / e.experts
    hit, ranks = e.experts * (1 - missed), t * d
    for rows, cols in ((h, up * e.width), (e.width, h)):
        seconds += device.linear(group_tokens * e.top_k / ranks, rows, cols, "experts", of=1 / ranks, read=hit)
    return seconds


def exchange(hardware: Any, e: Any, h: int, t: int, d: int, tokens: int, spread: bool, device: Device) -> float:
    """Dispatch and combine inside one domain: to every other rank that has one of the token's experts."""
    ranks = t * d
    on_rank = e.experts // ranks
    reached = 1 - math.comb(e.experts - on_rank, e.top_k) / math.comb(e.experts, e.top_k) if spread else 1.0
    elements = tokens / t * (ranks - 1) * reached * h
    there = 1.0 if RUNS_AT[device.dtype("experts")] == "fp8" else 2.0
    return elements * (there + 2.0) / (hardware.link.gb_s * 1e9)


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
