"""What is asked: a model on a machine in a layout and dtypes; layers one by one, stages, and which layouts can be."""

import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One question. Degrees by their letters: tensor t, pipeline p, data d, experts e, decode context dcp."""

    model: Any
    hardware: Any
    weights: str = "native"
    kv: str = "bf16"
    t: int = 1
    p: int = 1
    d: int = 1
    e: int = 1
    dcp: int = 1
    overlap: str = "op"
    network: bool = True
    q: int = 1
    imbalance: float = 1.0
    redundant: int = 0
    reserved: bool = False
    kv_block: int = 1

    @property
    def g(self) -> int:
        """Devices of a stage."""
        return self.t * self.d

    @property
    def domain(self) -> int:
        return self.hardware.link.domain if self.hardware.link else 1


def layers(expression: str) -> list[str]:
    """Block names in order: `2*(a b) c` is a b a b c."""
    found: list[str] = []
    while expression := expression.strip():
        match = re.match(r"(\d+)\s*\*\s*", expression)
        times, expression = (int(match.group(1)), expression[match.end() :]) if match else (1, expression)
        if expression.startswith("("):
            depth = end = 0
            while end == 0 or depth:
                depth += {"(": 1, ")": -1}.get(expression[end], 0)
                end += 1
            inner, expression = layers(expression[1 : end - 1]), expression[end:]
        else:
            word = re.match(r"\w+", expression)
            assert word, expression
            inner, expression = [word.group()], expression[word.end() :]
        found += inner * times
    return found


def stages(case: Case) -> list[list[Any]]:
    """The blocks of each pipeline stage: consecutive layers, the first L mod p stages one more."""
    left = [case.model.blocks[name] for name in layers(case.model.layers)]
    base, extra = divmod(len(left), case.p)
    found = []
    for number in range(case.p):
        size = base + 1 if number < extra else base
        found.append(left[:size])
        left = left[size:]
    return found


def layouts(model: Any, count: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Every (t, p, d, e, dcp) that `count` devices allow."""
    blocks = [model.blocks[name] for name in layers(model.layers)]
    attention = [block.attention for block in blocks if block.attention]
    experts = [block.mlp.experts for block in blocks if block.mlp and block.mlp.type == "experts"]
    for t in range(1, count + 1):
        if count % t or any(one.heads % t for one in attention):
            continue
        copies = min((max(1, t // one.kv_heads) if one.type == "gqa" else t for one in attention), default=1)
        for p in range(1, count // t + 1):
            if count // t % p or p > len(blocks):
                continue
            d = count // t // p
            for e in {1, t * d} if experts and min(experts) >= t * d else {1}:
                for dcp in range(1, copies + 1):
                    if t % dcp == 0 and copies % dcp == 0:
                        yield t, p, d, e, dcp


def shard(size: int, ranks: int) -> int:
    """What the fullest rank gets."""
    return math.ceil(size / ranks)
