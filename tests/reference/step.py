"""Seconds of a decode step."""

import math
from typing import Any

from tests.reference import attention, formats, network, others
from tests.reference.case import Case, shard, stages


class Clock:
    """Adds up what one device does in one stage."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.compute = self.memory = self.longer = self.link = self.out = 0.0

    def work(self, flops: float, moved: float, tensor: str) -> None:
        compute = flops / formats.flop_per_s(self.case, tensor)
        memory = moved / (self.case.hardware.device.memory.bandwidth_gb_s * 1e9)
        self.compute += compute
        self.memory += memory
        self.longer += max(compute, memory)

    def send(self, times: network.Seconds) -> None:
        self.link += times[0]
        self.out += times[1]

    def add(self, other: "Clock") -> None:
        for name in ("compute", "memory", "longer", "link", "out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def seconds(self) -> float:
        messages = self.link + self.out
        return {
            "op": self.longer + messages,
            "none": self.compute + self.memory + messages,
            "net": max(self.longer, messages),
            "full": max(self.compute, self.memory, messages),
        }[self.case.overlap]


def step_seconds(case: Case, batch: int, seq: int) -> float:
    """One token of each of `batch` sequences of `seq` tokens (q tokens in verification)."""
    each = []
    cut = stages(case)
    alike: dict[int, Clock] = {}  # equal layers take equal time
    for number, blocks in enumerate(cut):
        clock = Clock(case)
        for block in blocks:
            if id(block) not in alike:
                alike[id(block)] = layer(case, block, batch, seq)
            clock.add(alike[id(block)])
        tokens = math.ceil(math.ceil(batch / case.p) / case.d) * case.q
        h = case.model.hidden
        if number == len(cut) - 1:
            columns = shard(case.model.vocab, case.t)
            clock.work(2 * tokens * h * columns, h * columns * formats.size(case, "head"), "head")
        elif case.network:
            streams = case.model.hyper_connections or 1
            clock.send(network.send(case, tokens * h * streams * 2 / case.t, number))
        each.append(clock.seconds())
    return case.p * max(each) if batch >= case.p else sum(each)


def layer(case: Case, block: Any, batch: int, seq: int) -> Clock:
    """One layer on one device of its fullest data-parallel rank."""
    clock, h = Clock(case), case.model.hidden
    micro = math.ceil(batch / case.p)
    sequences = math.ceil(micro / case.d)
    tokens, group_tokens = sequences * case.q, micro * case.q
    lins: list[attention.Lin] = []
    if block.attention:
        lins += attention.used_lins(block.attention, h, case.t)
    if block.state:
        lins += others.state_lins(block.state, h, case.t)
    if block.mlp:
        lins += others.every_token_lins(block.mlp, h, case.t)
    for rows, cols, tensor in lins:
        clock.work(2 * tokens * rows * cols, rows * cols * formats.size(case, tensor), tensor)
    if block.attention:
        for kind in attention.entries(case, block.attention, seq):
            flops = moved = 0.0
            for _ in range(sequences):
                flops += case.q * kind.scored * kind.flops_each
                moved += kind.read * kind.bytes_each
            clock.work(flops, moved, kind.peak)
    if block.state and others.state_numbers(block.state, case.t):
        numbers = others.state_numbers(block.state, case.t)
        flops = moved = 0.0
        for _ in range(sequences):
            flops += case.q * numbers * others.update_flops(block.state)
            moved += numbers * others.state_bytes_each(block.state) + numbers * others.state_bytes_each(block.state)
        clock.work(flops, moved, "update")
    routed = block.mlp and block.mlp.type == "experts"
    if routed:
        experts(clock, block.mlp, group_tokens)
    if case.network:
        messages(clock, block, tokens)
    return clock


def experts(clock: Clock, mlp: Any, tokens: int) -> None:
    """Routed experts, spread or split over the g devices of a stage."""
    case = clock.case
    skew = case.imbalance if case.e > 1 else 1.0  # split experts are on every rank alike
    choices = tokens * mlp.top_k * mlp.experts / (mlp.experts + mlp.zero_experts)
    read = min(skew * others.experts_hit(mlp, tokens), mlp.experts)
    for rows, cols, tensor in others.expert_lins(mlp, case.model.hidden):
        flops = 2 * choices * rows * cols / case.g * skew
        clock.work(flops, read * rows * cols * formats.size(case, tensor) / case.g, tensor)


def messages(clock: Clock, block: Any, tokens: int) -> None:
    """What a layer's ranks tell one another."""
    case, h = clock.case, clock.case.model.hidden
    mixing = block.attention or block.state
    exchanged = block.mlp and block.mlp.type == "experts" and case.d > 1
    reduced = (1 if mixing else 0) + (1 if block.mlp and not exchanged else 0)
    if case.model.parallel:
        reduced = min(reduced, 1)
    if case.t > 1:
        for _ in range(reduced):
            clock.send(network.all_reduce(case, tokens * h * 2.0, case.t))
        if block.state and others.summed_inside(block.state):
            clock.send(network.all_reduce(case, tokens * others.summed_inside(block.state) * 2.0, case.t))
    if exchanged:
        domains = math.ceil(case.g / case.domain)
        ranks = (case.g - 1) * others.needs_shard(block.mlp, case.e)
        far = (domains - 1) * others.needs_shard(block.mlp, domains if case.e > 1 else 1)
        wide = tokens / case.t * (block.mlp.latent or h)
        for each in (1.0 if formats.narrow_experts(case) else 2.0, 2.0):
            clock.send(network.exchange(case, wide * each, case.g, ranks, far))
    if case.dcp > 1 and block.attention:
        for numbers in attention.sent_to_each(block.attention, case.t):
            clock.send(network.gather(case, tokens * numbers * 2.0, case.dcp))
