"""Checkpoints as people name them -> a model whose tensors have the dtypes that the checkpoint stores.

A narrow dtype applies to the blocks' linear layers; embedding, head, router and norms stay in 16 bits, as published AWQ, GPTQ,
compressed-tensors and ModelOpt checkpoints keep them. GGUF files mix block types by tensor: `gguf_bytes` counts a whole file
(the mixtures of llama.cpp, src/llama-quant.cpp).
"""

import re
from collections.abc import Iterator

from roofcalc.specs import dtypes
from roofcalc.specs.attention import GQA
from roofcalc.specs.model import Dtypes, Model
from roofcalc.specs.parameter_count import count
from roofcalc.specs.record import replace
from roofcalc.specs.stored_weights import sixteen_bit

LINEAR = ("attention", "mlp", "experts", "shared", "state")
_RECIPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "fp8": ("fp8", LINEAR),
    "w8a8": ("int8", LINEAR),
    "int8": ("int8", LINEAR),
    "int4": ("int4-g128", ("attention", "mlp", "experts", "shared")),
    "awq": ("int4-g128", ("attention", "mlp", "experts", "shared")),
    "gptq": ("int4-g128", ("attention", "mlp", "experts", "shared")),
    "w4a16": ("int4-g128", ("attention", "mlp", "experts", "shared")),
    "nvfp4": ("nvfp4", ("mlp", "experts", "shared")),
}
_SPELLED = tuple(
    (pattern, _RECIPES[name])
    for pattern, name in (("nvfp4|w4a4", "nvfp4"), ("fp8", "fp8"), ("w8a8|int8|8-?bit", "int8"), ("int4|awq|gptq|w4a16|4-?bit|nf4|autoround", "int4"))
)
_BITS = {"q8_0": 8.5, "q6_k": 6.5625, "q5_k": 5.5, "q4_k": 4.5, "q4_0": 4.5, "q3_k": 3.4375, "f32": 32.0, "bf16": 16.0, "f16": 16.0}
_FALLBACK = {3.4375: 4.5, 4.5: 5.5, 5.5: 6.0, 6.5625: 8.5}  # of rows that are no multiple of 256 weights
_HALF_Q6_Q4 = (_BITS["q6_k"] + _BITS["q4_k"]) / 2
# By kind of file: bits of matrices in general, of values, of down projections, of the embedding, of the output.
_GGUF: dict[str, tuple[float, float, float, float, float]] = {
    "q3_k_m": (3.4375, 4.5, 4.5, 3.4375, 6.5625),
    "q4_k_m": (4.5, _HALF_Q6_Q4, _HALF_Q6_Q4, 4.5, 6.5625),
    "q4_0": (4.5, 4.5, 4.5, 4.5, 6.5625),
    "q6_k": (6.5625,) * 5,
    "q8_0": (8.5,) * 5,
    "bf16": (16.0,) * 5,
    "f16": (16.0,) * 5,
}


def stored_model(model: Model, dtype: str, name: str) -> Model:
    """The model as a checkpoint called `name` stores it, its weights described by the word `dtype`; deploy it with native weights.

    Raises
    ------
    RoofcalcError
        A word that names no dtype.
    """
    word, sixteen = dtype.strip().lower(), sixteen_bit(model.dtypes)
    if word in ("bf16", "fp16", "f16", "float16", "bfloat16"):
        return replace(model, dtype=Dtypes("fp16" if "16" in word and word.startswith("f") else "bf16"))
    if not word or _is_native(model, word):
        return model
    if word == "fp8" and re.search(r"405b", name, re.IGNORECASE) and "meta" in name.lower():
        return replace(model, dtype=Dtypes(sixteen, mlp="fp8"))  # FBGEMM: attention stays in 16 bits
    stored, classes = _RECIPES.get(word) or next((recipe for pattern, recipe in _SPELLED if re.search(pattern, word)), (word, LINEAR))
    if stored == "fp8" and re.search(r"qwen|deepseek|minimax|glm", name, re.IGNORECASE):
        stored = "fp8-block128"
    if re.match(r"i?q\d", stored):
        return model  # a kind of GGUF file whose mixture is not known here
    dtypes.dtype(stored)
    return replace(model, dtype=Dtypes(sixteen, **dict.fromkeys(classes, stored)))


def _is_native(model: Model, word: str) -> bool:
    """Whether the catalog's checkpoint is already stored in a dtype of that width."""
    wanted = {"fp8": ("fp8", "fp8-block128"), "int4": ("int4", "int4-g32", "int4-g128")}.get(word, (word,))
    own = {getattr(model.dtypes, name) or model.dtypes.default for name in ("mlp", "experts")}
    return (bool(own & set(wanted)) and word != model.dtypes.default) or bool(own & set(wanted))


def is_gguf(dtype: str) -> bool:
    """Whether a word names a kind of GGUF file that is known here."""
    return dtype.strip().lower() in _GGUF


def gguf_bytes(model: Model, kind: str) -> float:
    """Bytes of the tensors of a GGUF file of the language model; norms and routers in 32 bits."""
    general, values, down, embedding, output = _GGUF[kind.strip().lower()]
    total = model.embedding().elements * embedding + (0 if model.tied else model.head().elements * output)
    if model.tied:
        total = model.embedding().elements * max(embedding, output if general < 8 else embedding)
    for name, layers in model.groups.items():
        total += layers * sum(elements * bits for elements, bits in _layer(model, name, kind.strip().lower(), general, values, down))
    return (total + model.outer_vectors() * _BITS["f32"]) / 8


def _layer(model: Model, name: str, kind: str, general: float, values: float, down: float) -> Iterator[tuple[float, float]]:
    """Elements and their bits in one layer."""
    block = model.blocks[name]
    yield model.block_vectors(block), _BITS["f32"]
    attention = block.attention
    for one in block.parts:
        for matrix in one.matrices(model.hidden):
            elements = float(matrix.elements)
            if matrix.tensor == "router":
                yield elements, _BITS["f32"]
            elif matrix.name.endswith("down") and matrix.tensor in ("mlp", "experts", "shared"):
                yield elements, _for_rows(down, matrix.rows)
            elif matrix.name == "qkv" and isinstance(attention, GQA):
                of_values = float(attention.kv_heads * attention.value_dim * model.hidden)
                yield of_values, values
                yield elements - of_values, general
            else:
                yield elements, _for_rows(values if kind == "q3_k_m" and matrix.name == "o" else general, matrix.rows)


def _for_rows(bits: float, rows: int) -> float:
    """Bits of a matrix whose rows hold so many weights: blocks of 256 weights need a multiple of that, others fall back."""
    if rows % 256 == 0:
        return bits
    return (_FALLBACK[4.5] + _FALLBACK[6.5625]) / 2 if bits == _HALF_Q6_Q4 else _FALLBACK.get(bits, bits)


def resident_draft_bytes(model: Model, ranks: int) -> float:
    """Bytes of the model's multi-token-prediction layers on one of `ranks` devices, in 16 bits; embedding and head are the model's own."""
    return 2.0 * count(model).mtp / ranks
