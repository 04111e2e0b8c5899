"""GGUF kinds (Q4_K_M, IQ2_XS …): the block type that llama.cpp's quantiser takes for each tensor of a model.

A kind mixes block types: values, output projections, down projections, the embedding and the head are kept wider, some in part of the
layers only. Source of the rules: src/llama-quant.cpp of ggml-org/llama.cpp (commit 007dbbf), for files with an importance matrix
where a kind is usually made with one. Kinds with `_L` and `_XL` behind a K kind keep embedding and head in Q8_0.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from roofcalc.specs.attention import GQA

if TYPE_CHECKING:
    from roofcalc.specs.attention_spec import AttentionSpec
    from roofcalc.specs.model import Block, Model

Rule = tuple[str, str]  # condition, block type


class Kind(NamedTuple):
    """Block types of one kind.

    Attributes
    ----------
    base : str
        Of every matrix without a rule.
    value, query_key, output, down, fused, up : tuple of Rule
        Of attention's value, query and key, and output projections, the feed-forward down projection, a fused projection of queries,
        keys and values, and the up and gate projections: the type of the first condition that holds.
    head, embed : str, optional
        Of the LM head (Q6_K by default), and of the embedding (`base` by default).
    """

    base: str
    value: tuple[Rule, ...] = ()
    query_key: tuple[Rule, ...] = ()
    output: tuple[Rule, ...] = ()
    down: tuple[Rule, ...] = ()
    fused: tuple[Rule, ...] = ()
    up: tuple[Rule, ...] = ()
    head: str = "q6_k"
    embed: str | None = None


def _low(base: str, wider: str, embed: str, output: tuple[Rule, ...] = ()) -> Kind:
    """IQ1 and IQ2: `wider` for the values without grouped queries and for the first eighth of the down projections."""
    return Kind(
        base, (("grouped", "q4_k"), ("many experts", "q4_k"), ("always", wider)), (), output, (("first eighth", wider),), head="q5_k", embed=embed
    )


_GROUPED_Q4, _ALL_Q4 = (("grouped", "q4_k"),), (("always", "q4_k"),)
_KINDS = {
    "iq1_s": _low("iq1_s", "q2_k", "q2_k", (("always", "iq2_xxs"),)),
    "iq1_m": _low("iq1_m", "q2_k", "q2_k", (("always", "iq2_xxs"),)),
    "iq2_xxs": _low("iq2_xxs", "q2_k", "q2_k"),
    "iq2_xs": _low("iq2_xs", "q2_k", "q2_k"),
    "iq2_s": _low("iq2_xs", "iq3_s", "iq3_s", (("always", "iq3_s"),)),
    "iq2_m": _low("iq2_s", "iq3_s", "iq3_s", (("always", "iq3_s"),)),
    "iq3_xxs": Kind("iq3_xxs", _GROUPED_Q4, (("always", "iq2_s"),), (("always", "iq3_s"),), head="q5_k", embed="iq3_s"),
    "iq3_xs": Kind("iq3_s", _GROUPED_Q4, (("always", "iq3_xxs"),), up=(("middle", "iq3_xxs"),)),
    "iq3_s": Kind("iq3_s", _GROUPED_Q4),
    "iq3_m": Kind("iq3_s", _ALL_Q4, (), _ALL_Q4, (("first eighth", "q4_k"), ("more, 8 experts", "q4_k")), _ALL_Q4),
    "iq4_xs": Kind("iq4_xs", (("grouped", "q5_k"),)),
    "iq4_nl": Kind("iq4_nl", (("grouped", "q5_k"),)),
    "q2_k": Kind("q2_k", (("grouped", "q4_k"), ("always", "q3_k")), (), (("always", "q3_k"),), (("always", "q3_k"),)),
    "q2_k_s": Kind("q2_k", _GROUPED_Q4, down=(("first eighth", "q4_k"),)),
    "q3_k_s": Kind("q3_k"),
    "q3_k_m": Kind(
        "q3_k",
        (("first two", "q5_k"), ("always", "q4_k")),
        (),
        (("always", "q4_k"),),
        (("first sixteenth", "q5_k"), ("always", "q4_k")),
        (("always", "q4_k"),),
    ),
    "q3_k_l": Kind("q3_k", (("always", "q5_k"),), (), (("always", "q5_k"),), (("always", "q5_k"),), (("always", "q4_k"),)),
    "q4_k_s": Kind("q4_k", (("first four", "q5_k"),), down=(("first eighth", "q5_k"),)),
    "q4_k_m": Kind("q4_k", (("more", "q6_k"),), down=(("more", "q6_k"),), fused=(("always", "q5_k"),)),
    "q5_k_s": Kind("q5_k"),
    "q5_k_m": Kind("q5_k", (("more", "q6_k"),), down=(("more", "q6_k"),), fused=(("always", "q6_k"),)),
    "q6_k": Kind("q6_k"),
    "q4_0": Kind("q4_0"),
    "q4_1": Kind("q4_1"),
    "q5_0": Kind("q5_0"),
    "q5_1": Kind("q5_1"),
    "q8_0": Kind("q8_0", head="q8_0"),
    "tq1_0": Kind("tq1_0", embed="q4_k"),
    "tq2_0": Kind("tq2_0", embed="q4_k"),
    "mxfp4_moe": Kind("q8_0", head="q8_0"),  # experts in mxfp4 (`tensors`)
}
_KINDS |= {
    long: _KINDS[short]._replace(head="q8_0", embed="q8_0")
    for long, short in {
        "q2_k_l": "q2_k",
        "q3_k_xl": "q3_k_l",
        "q4_k_l": "q4_k_m",
        "q5_k_l": "q5_k_m",
        "q6_k_l": "q6_k",
    }.items()
}
# Unsloth's dynamic kinds (2.0, 2025): the block type of each layer is chosen for the model at hand, so that no rule gives every tensor. Means
# in bits per weight that published sizes give (models/checkpoints.csv): of embedding and head together, of the linear layers of dense models
# (Qwen3 8B and 32B), of routed experts, and of the other linear layers of a mixture of experts (Qwen3 30B-A3B, DeepSeek-R1-0528, Kimi K2).
# From Q2_K_XL to Q5_K_XL they hold within 0.5 % from 30B to 1T; IQ1_S, IQ1_M and IQ2_XXS differ by up to 5 % between those models. Files of
# other generations (DeepSeek-V3-0324 and Llama 4 of spring 2025, Qwen3-Coder-Next of 2026) differ by up to 12 %, which nothing in a name tells.
_DYNAMIC = {
    "ud_iq1_s": (4.822, 1.742, 2.15, 5.0),
    "ud_iq1_m": (4.795, 1.888, 2.335, 5.0),
    "ud_iq2_xxs": (4.738, 2.141, 2.51, 5.0),
    "ud_iq2_m": (4.758, 2.723, 2.806, 2.806),
    "ud_iq3_xxs": (4.624, 3.092, 3.24, 4.72),
    "ud_q2_k_xl": (5.778, 2.991, 2.922, 5.99),
    "ud_q3_k_xl": (5.860, 3.911, 3.479, 5.86),
    "ud_q4_k_xl": (5.892, 4.838, 4.552, 5.89),
    "ud_q5_k_xl": (6.301, 5.641, 5.701, 5.70),
    "ud_q6_k_xl": (9.257, 6.962, 6.853, 6.853),
    "ud_q8_k_xl": (18.091, 9.218, 9.250, 9.250),
}
_ALIASES = {"q2_k_m": "q2_k", "q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m", "q4": "q4_0", "q8": "q8_0", "mxfp4_gguf": "mxfp4_moe"}
KINDS = (*_KINDS, *_DYNAMIC, *_ALIASES)

# Architectures whose queries, keys and values are one tensor in llama.cpp.
_FUSED = ("phi", "phi3", "phi4", "falcon", "starcoder", "bloom", "mpt", "pythia", "gpt2", "glm4", "chatglm", "dbrx", "qwen", "stablelm")
_FALLBACK = {"q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0", "iq4_xs": "iq4_nl", "q2_k": "q4_0", "q3_k": "q4_0", "tq1_0": "q4_0", "tq2_0": "q4_0"}
_EIGHT_EXPERTS_OUTPUT = ("q2_k", "iq3_xs", "iq3_xxs", "q3_k_s", "q3_k_m", "iq4_nl", "q4_k_s", "q4_k_m", "iq3_s", "iq3_m", "iq4_xs")


class Tensor(NamedTuple):
    """A tensor of a GGUF file: the layer it is in, its class and the matrix it is part of (as in `roofcalc.specs.weights.Matrix`)."""

    layer: int
    tensor: str
    role: str
    rows: int
    elements: int


def canonical(name: str) -> str | None:
    """The kind's name in lower case; None where there is none of that name."""
    plain = name.strip().lower().replace("-", "_")
    plain = _ALIASES.get(plain, plain)
    return plain if plain in _KINDS or plain in _DYNAMIC else None


@lru_cache(maxsize=256)
def by_class(model: Model, kind: str) -> dict[str, list[tuple[int, str]]]:
    """For each tensor class of the blocks, and "embed" and "head": (elements, block type) of each tensor.

    Parameters
    ----------
    kind : str
        A name that `canonical` gives.
    """
    if kind in _DYNAMIC:
        return _dynamic(model, kind)
    rules, shape = _KINDS[kind], _Shape(model)
    found: dict[str, list[tuple[int, str]]] = {}
    counts: dict[str, int] = {}
    tensors = list(_tensors(model))
    totals = {role: sum(one.role == role for one in tensors) for role in {one.role for one in tensors}}
    for one in tensors:
        position = counts.get(one.role, 0)
        counts[one.role] = position + 1
        chosen = _type(kind, rules, one, shape, position, totals[one.role])
        found.setdefault(one.tensor, []).append((one.elements, chosen))
    head = "q8_0" if (model.family or "") == "falcon" else rules.head
    head = _fitting(head, model.hidden) if model.hidden % 256 == 0 or rules.base in _SMALL else "q8_0"
    found["head"] = [(model.head().elements, head)]
    found["embed"] = [(model.embedding().elements, head if model.tied else _fitting(rules.embed or rules.base, model.hidden))]
    return found


def _dynamic(model: Model, kind: str) -> dict[str, list[tuple[int, str]]]:
    ends, dense, experts, others = _DYNAMIC[kind]
    mixed = _Shape(model).experts > 0
    classes = {one.tensor for one in _tensors(model)}
    bits = {tensor: (experts if tensor == "experts" else others) if mixed else dense for tensor in classes} | {"embed": ends, "head": ends}
    return {tensor: [(1, f"{mean}bpw")] for tensor, mean in bits.items()}


class _Shape:
    """The figures of a model that rules ask for."""

    def __init__(self, model: Model) -> None:
        blocks = [model.blocks[name] for name in model.groups]
        attention = [block.attention for block in blocks if isinstance(block.attention, GQA)]
        self.grouped = any(one.heads >= 4 * one.kv_heads for one in attention)
        self.experts = max((getattr(block.mlp, "experts", 0) for block in blocks), default=0)
        self.is_70b = model.depth == 80 and bool(attention) and not self.experts
        self.fused = (model.family or "") in _FUSED
        self.falcon = model.family == "falcon"


_SMALL = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl")  # blocks of 32; the others have 256


def _holds(condition: str, position: int, total: int, shape: _Shape) -> bool:
    """Whether a rule's condition holds for the tensor at a position among those of its role."""
    eighth = total // 8
    if condition in ("more", "more, 8 experts"):
        more = position < eighth or position >= 7 * total // 8 or (position - eighth) % 3 == 2
        return more and (condition == "more" or shape.experts == 8)
    return {
        "always": True,
        "grouped": shape.grouped,
        "many experts": shape.experts >= 4,
        "first two": position < 2,
        "first four": position < 4,
        "first eighth": position < eighth,
        "first sixteenth": position < total // 16,
        "middle": eighth <= position < 7 * total // 8,
    }[condition]


def _type(kind: str, rules: Kind, one: Tensor, shape: _Shape, position: int, total: int) -> str:
    if kind == "mxfp4_moe":
        return "mxfp4" if one.tensor == "experts" else "q8_0"
    role = one.role.partition(".")[0]
    options = {
        "v": rules.value,
        "q": rules.query_key,
        "k": rules.query_key,
        "o": rules.output,
        "down": rules.down,
        "qkv": rules.fused,
        "up": rules.up,
    }.get(role, ())
    chosen = next((block for condition, block in options if _holds(condition, position, total, shape)), rules.base)
    low = rules.head == "q5_k" and kind != "iq3_xxs"
    plain = rules.base in _SMALL and kind != "iq4_nl"
    if role == "v" and not low and shape.is_70b and chosen in ("q3_k", "q4_k"):
        chosen = "q5_k"
    if shape.experts == 8:
        if role in ("k", "v"):
            chosen = "q4_k" if low else "q8_0"
        if role == "o" and (low or kind in _EIGHT_EXPERTS_OUTPUT):
            chosen = "q5_k"
    if shape.falcon and not plain:
        chosen = _falcon(kind, role, chosen, position, total)
    return _fitting(chosen, one.rows)


def _falcon(kind: str, role: str, chosen: str, position: int, total: int) -> str:
    """Falcon keeps less: the down projection a step narrower, the output projection at the base type."""
    more = position < total // 8 or position >= 7 * total // 8 or (position - total // 8) % 3 == 2
    if role == "down":
        given = {"q3_k_l": "q4_k", "q4_k_s": "q4_k"}
        if kind == "q4_k_m":
            return "q6_k" if position < total // 16 else "q5_k" if more else "q4_k"
        if kind == "q3_k_m":
            return "q5_k" if position < total // 16 else "q4_k" if more else "q3_k"
        return given.get(kind, chosen)
    if role == "o":
        return {"q3_k_l": "q4_k", "q3_k_m": "q3_k", "q2_k": "q2_k"}.get(kind, chosen)
    return chosen


def _fitting(block: str, rows: int) -> str:
    """The block type, or the one that llama.cpp falls back to where rows of the tensor do not divide into its blocks."""
    if block in _SMALL:
        return block if rows % 32 == 0 else "fp16"
    if block == "mxfp4" or rows % 256 == 0:
        return block if rows % 32 == 0 else "fp16"
    return _fitting(_FALLBACK.get(block, "iq4_nl"), rows)


def _tensors(model: Model) -> Iterator[Tensor]:
    """The matrices of all layers in order, attention's split into queries, keys and values."""
    fused, layer = (model.family or "") in _FUSED, 0
    for name, count in model.runs:
        block = model.blocks[name]
        for _ in range(block.stored(count)):
            yield from _of_layer(block, model.hidden, layer, fused)
            layer += 1


def _of_layer(block: Block, hidden: int, layer: int, fused: bool) -> Iterator[Tensor]:
    for part in block.parts:
        for matrix in part.matrices(hidden):
            if matrix.tensor in ("router", "index"):
                continue
            role = matrix.name
            if matrix.tensor == "attention" and matrix.name in ("qkv", "kv") and isinstance(part, GQA) and not fused:
                yield from _split(part, matrix.rows, matrix.elements, layer)
                continue
            if matrix.tensor in ("mlp", "experts", "shared"):
                role = f"{'down' if matrix.name.endswith('down') and 'latent' not in matrix.name else 'up'}.{matrix.tensor}"
            elif matrix.tensor == "state":
                role = "state"
            yield Tensor(layer, matrix.tensor, role, matrix.rows, matrix.elements)


def _split(attention: AttentionSpec, rows: int, elements: int, layer: int) -> Iterator[Tensor]:
    """Queries, keys and values of one fused matrix."""
    assert isinstance(attention, GQA)
    values = 0 if attention.shared_kv else attention.kv_heads * attention.value_dim * rows
    keys = attention.kv_heads * attention.head_dim * rows
    for role, size in (("q", elements - keys - values), ("k", keys), ("v", values)):
        if size:
            yield Tensor(layer, "attention", role, rows, size)
