"""Weight recipes: the text of `--weights` -> which dtype each class of tensors takes.

A recipe is one word (`fp8`, `awq`, `q4_k_m`, `mlx-4bit`), or items that are separated by spaces or `+`. An item is a word, or
`SELECTOR=DTYPE` for a class of tensors, a matrix or a range of layers:

    fp8                              the linear layers of all blocks; embedding and LM head stay in the model's 16-bit type
    all=fp8                          every matrix, embedding and head included
    mlp=fp8 attention=bf16           classes that no item names stay in 16 bits
    native experts=nvfp4             the checkpoint's dtypes but for one class
    fp8 mlp@0=bf16 mlp@125=bf16      layers are counted from 0; `experts@3-77` is a range
    nvfp4 attention=bf16 o=nvfp4     a matrix by its name in the model's description: q_down, kv_down, o, qkv, `state.out` …

The narrower selector wins: a matrix before a class, a class before `mlp` (all feed-forward layers), `linear` (all linear layers
of the blocks) and `all`; an item for some layers wins over one for all of them. Router, indexer and norms stay in 16 bits unless named.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs import dtypes, gguf_kinds

NATIVE = "native"
LINEAR_CLASSES = ("attention", "mlp", "experts", "shared", "state")
SIXTEEN_BIT_CLASSES = ("router", "index", "norm")
CLASSES = (*LINEAR_CLASSES, *SIXTEEN_BIT_CLASSES, "embed", "head", "tower")

# Selectors of several classes, the widest first, and other words for one class.
_GROUPS = {
    "all": (*LINEAR_CLASSES, "embed", "head"),
    "linear": LINEAR_CLASSES,
    "mlp": ("mlp", "experts", "shared"),
}
_CLASS_WORDS = {
    "dense": "mlp",
    "dense_mlp": "mlp",
    "attn": "attention",
    "expert": "experts",
    "moe": "experts",
    "shared_experts": "shared",
    "linear_attention": "state",
    "mamba": "state",
    "indexer": "index",
    "norms": "norm",
    "embedding": "embed",
    "embeddings": "embed",
    "lm_head": "head",
    "output": "head",
    "towers": "tower",
    "vision": "tower",
    **{name: name for name in CLASSES if name != "mlp"},
}
# The usual names of recipes, in the grammar above.
_WORDS = {
    **dict.fromkeys(("auto", "checkpoint", "default"), NATIVE),
    **dict.fromkeys(("int4", "awq", "gptq", "4bit", "4-bit", "awq-int4", "gptq-int4", "int4-awq", "int4-gptq", "auto-round"), "int4-g128-zp"),
    **dict.fromkeys(("gptq-int8", "gptq-8bit", "awq-int8", "int8-gptq"), "int8-g128-zp"),
    **dict.fromkeys(("gptq-int3", "gptq-3bit"), "int3-g128-zp"),
    **dict.fromkeys(("gptq-int2", "gptq-2bit"), "int2-g128-zp"),
    **dict.fromkeys(("w4a16", "w4a8", "w4"), "int4-g128"),
    **dict.fromkeys(("w8a16", "8bit-weights", "bnb-8bit", "bnb-int8", "llm.int8", "8bit", "8-bit", "eetq"), "int8-channel"),
    **dict.fromkeys(("w8a8", "w8a8-int8", "int8-w8a8", "smoothquant"), "int8"),
    **dict.fromkeys(("fp8-dynamic", "fp8_dynamic", "w8a8-fp8", "fp8-w8a8", "fp8-static", "fbgemm-fp8"), "fp8"),
    **dict.fromkeys(("bnb", "bnb-nf4", "nf4-bnb", "bitsandbytes"), "nf4"),
    **dict.fromkeys(("bnb-4bit", "bnb-nf4-dq", "unsloth-bnb-4bit"), "nf4-dq"),
    **dict.fromkeys(("hqq", "hqq-4bit"), "int4-g64-zp"),
    **dict.fromkeys(("nvfp4a16", "nvfp4-awq", "fp4", "w4a4"), "nvfp4"),
    **dict.fromkeys(("bitnet",), "ternary"),
}
_MLX_WORD = re.compile(r"mlx[-_]?(\d)[-_ ]?bit(?:-g(?:s)?(\d+))?")
_ITEM = re.compile(r"([a-z_][a-z0-9_.]*)(?:@(\d{1,5})(?:-(\d{1,5}))?)?=(\S+)")


class Item(NamedTuple):
    """One assignment.

    Attributes
    ----------
    level : int
        How narrow the selector is: 0 for `all` up to 4 for a matrix, 10 more for a range of layers; the higher wins.
    classes : tuple of str
        Tensor classes; empty for a matrix of any class.
    matrix : str
        Name of a matrix; empty for classes.
    first, last : int
        Layers; last -1 is the last layer.
    dtype : str
    """

    level: int
    classes: tuple[str, ...]
    matrix: str
    first: int
    last: int
    dtype: str


class Recipe(NamedTuple):
    """A parsed recipe.

    Attributes
    ----------
    label : str
        The recipe in canonical words; `parse` reads it back.
    native : bool
        Classes without an item take the checkpoint's dtypes, not its 16-bit type.
    gguf : str
        A GGUF kind, which mixes dtypes by rules of its own; items override it.
    items : tuple of Item
        The widest selector first.
    linear_only : bool
        One word that leaves embedding and head in 16 bits.
    """

    label: str
    native: bool
    gguf: str
    items: tuple[Item, ...]
    linear_only: bool


@lru_cache(maxsize=1024)
def parse(text: str) -> Recipe:
    """The recipe that a text names.

    Raises
    ------
    RoofcalcError
        An unknown word, selector or dtype, or two words that exclude one another.
    """
    pieces = re.sub(r"\s*=\s*", "=", text.strip().lower()).replace("+", " ").replace(";", " ").split()
    if not pieces:
        raise RoofcalcError("weights: expected a dtype or a recipe, got nothing")
    words = [piece for piece in pieces if "=" not in piece]
    if len(words) > 1:
        instead = f"mlp={words[0]} attention={words[1]}"
        raise RoofcalcError(f"weights {text!r}: {words[0]!r} and {words[1]!r} exclude one another; name classes: `{instead}`")
    word, native, gguf, items, linear = _word(words[0], alone=len(pieces) == 1) if words else ("", False, "", [], False)
    named = [(_item(piece, text), piece) for piece in pieces if "=" in piece]
    label = " ".join([word, *(piece for _, piece in named)] if word else [piece for _, piece in named])
    ordered = sorted([*items, *(item for item, _ in named)], key=lambda item: item.level)
    return Recipe(label, native, gguf, tuple(ordered), linear and not named)


def without_layers(text: str) -> str:
    """A recipe without its items for numbered layers, for layers other than the model's; 16-bit where nothing else is left."""
    return " ".join(piece for piece in parse(text).label.split() if "@" not in piece) or "bf16"


def _word(word: str, alone: bool) -> tuple[str, bool, str, list[Item], bool]:
    """Canonical word, whether it starts from the checkpoint, a GGUF kind, items, and whether it is for linear layers alone."""
    plain = word.replace("_", "-") if word.replace("_", "-") in _WORDS else word
    meant = _WORDS.get(plain, plain)
    if meant == NATIVE:
        return NATIVE, True, "", [], False
    if mlx := _MLX_WORD.fullmatch(word):
        packed = dtypes.dtype(f"mlx{mlx.group(1)}-g{mlx.group(2) or 64}").name
        label = f"mlx-{mlx.group(1)}bit" + (f"-g{mlx.group(2)}" if mlx.group(2) and mlx.group(2) != "64" else "")
        return label, False, "", _every(packed, router=True), False
    if (kind := gguf_kinds.canonical(word)) is not None:
        return kind, False, kind, [], False
    if plain == "mlx-mxfp4":
        return plain, False, "", _every("mxfp4", router=True), False
    try:
        dtype = dtypes.dtype(meant)
    except RoofcalcError:
        plain_names = [name for name in dtypes.NAMES if name not in dtypes.GGML_BITS]
        known = (NATIVE, *dtypes.NAMES, *_WORDS, *gguf_kinds.KINDS, "mlx-4bit", "int4-gN")
        raise RoofcalcError(
            f"unknown dtype {word!r}{did_you_mean(word, known)}; known dtypes and recipes: {NATIVE}, {', '.join(plain_names)}, awq, gptq, "
            "gptq-int8, w4a16, w8a8, w8a16, bnb-4bit, bnb-8bit, mlx-2bit … mlx-8bit, GGUF kinds (q4_k_m, iq4_xs …), or classes (`mlp=fp8`, `all=fp8`)"
        ) from None
    label = "int4" if plain in ("4bit", "4-bit") else plain if plain in _WORDS else dtype.name
    if dtype.bits >= 16:
        return label, False, "", _every(dtype.name), False
    return label, False, "", [Item(1, LINEAR_CLASSES, "", 0, -1, dtype.name)], True


def _every(dtype: str, router: bool = False) -> list[Item]:
    return [Item(0, (*_GROUPS["all"], *(("router",) if router else ())), "", 0, -1, dtype)]


def _item(piece: str, text: str) -> Item:
    match = _ITEM.fullmatch(piece)
    if match is None:
        raise RoofcalcError(f"weights {text!r}: cannot read {piece!r}; write CLASS=DTYPE or CLASS@FIRST-LAST=DTYPE")
    selector, first, last, value = match.groups()
    named = value if dtypes.is_dtype(value) else _WORDS.get(value, value)
    if named == NATIVE or (gguf_kinds.canonical(named) is not None and named not in dtypes.NAMES):
        raise RoofcalcError(f"weights {text!r}: {value!r} is a recipe for a whole model; give a dtype for {selector}")
    dtype = dtypes.dtype(named).name
    layers = (int(first), int(last if last is not None else first)) if first is not None else (0, -1)
    if first is not None and layers[1] < layers[0]:
        raise RoofcalcError(f"weights {text!r}: layers {first}-{last} end before they begin")
    level = 10 if first is not None else 0
    if selector in _GROUPS:
        return Item(level + list(_GROUPS).index(selector), _GROUPS[selector], "", *layers, dtype)
    if selector in _CLASS_WORDS:
        return Item(level + 3, (_CLASS_WORDS[selector],), "", *layers, dtype)
    tensor, _, matrix = selector.rpartition(".")
    if tensor and tensor not in CLASSES:
        raise RoofcalcError(f"weights {text!r}: no class {tensor!r}; choose from {', '.join(CLASSES)}")
    return Item(level + 4, (tensor,) if tensor else (), matrix, *layers, dtype)
