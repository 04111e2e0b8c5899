"""Models as people write them: repository ids of any publisher, hub addresses, Ollama tags, GGUF files, precision suffixes.

A name is cut into a base (`Qwen3-30B-A3B`), a precision (`-FP8`, `-AWQ`, `:Q4_K_M` become a weights recipe) and words that
do not change the architecture (`-Instruct`, `-it`, `-2507`). An entry of the catalog matches where its name has the same
family, version and sizes. Knows texts alone, not what an entry holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_ADDRESS = re.compile(
    r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|modelscope\.cn/models|ollama\.com/library)/|^(?:hf|ollama):(?://)?|^ollama run ",
    re.IGNORECASE,
)
_PATH_TAIL = re.compile(r"/(?:tree|blob|resolve)/.*$|[?#].*$")
_GGUF = r"(?:ud-)?(?:iq[1-8]_(?:xxs|xs|nl|s|m)|q[2-8]_k(?:_(?:xxl|xl|l|m|s))?|q[2-8]_[01]|tq[12]_0|bf16|f16|f32)"
_GGUF_KIND = re.compile(rf"[-.:_/]({_GGUF})(?:\.gguf)?$", re.IGNORECASE)

# a suffix, and the weights recipe that it stands for; longest first
_PRECISIONS: tuple[tuple[str, str | None], ...] = (
    (r"[-.]quantized[-.]w4a16", "w4a16"),
    (r"[-.]quantized[-.]w8a8", "w8a8"),
    (r"[-.]quantized[-.]w8a16", "w8a16"),
    (r"[-_. ]w4a16(?:[-_.]g128)?", "w4a16"),
    (r"[-_. ]w8a8(?:[-_.]int8)?", "w8a8"),
    (r"[-_. ]w8a16", "w8a16"),
    (r"[-_. ]w4afp8", "w4a16"),
    (r"[-_. ]awq(?:[-_.](?:int4|4bit))?", "awq"),
    (r"[-_. ]gptq[-_.](?:int8|8bit)", "gptq-int8"),
    (r"[-_. ]gptq(?:[-_.](?:int4|4bit))?(?:[-_.]\d+g)?", "gptq"),
    (r"[-_. ]autoround(?:[-_. ]int4)?", "gptq"),
    (r"(?:[-_.]unsloth)?[-_.]bnb[-_.]4bit", "nf4"),
    (r"(?:[-_.]unsloth)?[-_.]bnb[-_.]8bit", "bnb-8bit"),
    (r"[-_. ]nf4", "nf4"),
    (r"[-_. ]nvfp4(?:a16)?(?:[-_.]kv)?", "nvfp4"),
    (r"[-_. ]mxfp4", "mxfp4"),
    (r"[-_. ]fp4", "nvfp4"),
    (r"[-_. ]fp8(?:[-_.](?:dynamic|kv|static|block|pertensor|static-pertensor))?", "fp8"),
    (r"[-_. ]mlx[-_.](\d)bits?", "mlx-{0}bit"),
    (r"[-_. ](\d)bit[-_.]mlx", "mlx-{0}bit"),
    (r"[-_. ]mlx", "mlx-4bit"),
    (r"[-_. ]int8", "int8"),
    (r"[-_. ]int4", "int4"),
    (r"[-_. ]8bit", "int8"),
    (r"[-_. ]4bit", "int4"),
    (r"[-_.]qat[-_.]q4_0(?:[-_.](?:gguf|unquantized))?", "q4_0"),
    (r"[-_.]qat", "q4_0"),
    (r"[-_.]i1[-_.]gguf", None),
    (r"[-_. ]gguf", None),
    (r"[-_. ](?:bf16|fp16|f16|16bit)", "bf16"),
)
_PRECISION = [(re.compile(pattern + "$", re.IGNORECASE), recipe) for pattern, recipe in _PRECISIONS]
DEFAULT_GGUF = "q4_k_m"  # of a GGUF repository that names no kind, as the hub's own commands take

# words that do not change an architecture
_TUNED = frozenset(
    (
        *("instruct", "it", "chat", "hf", "pt", "base", "sft", "dpo", "rlhf", "tuned", "preview", "exp", "latest", "turbo", "text"),
        *("thinking", "reasoning", "assistant", "release", "c4ai", "ai21", "meta", "mistralai", "nvidia", "unsloth", "community"),
        *("abliterated", "uncensored", "qat", "model", "models", "dynamic", "terminus"),
    )
)
_DATE = re.compile(r"2[0-9](?:0[1-9]|1[0-2])|0[1-9](?:0[1-9]|[12]\d|3[01])|1[0-2](?:0[1-9]|[12]\d|3[01])|20\d{6}")  # 2507, 0528, 20250101
_TOKEN = re.compile(r"\d+x\d+(?:\.\d+)?[bmk]?|[ae]\d+(?:\.\d+)?b(?![a-z])|\d+(?:\.\d+)*(?:[bmk](?![a-z]))?|[a-z]+")
_SIZE = re.compile(r"\d+x\d+(?:\.\d+)?[bm]?|[ae]?\d+(?:\.\d+)?[bm]")


class Written(NamedTuple):
    """What a name says.

    Attributes
    ----------
    base : str
        Without address, publisher and precision.
    recipe : str or None
        Weights recipe that a suffix names; None where none does.
    publisher : str or None
    """

    base: str
    recipe: str | None
    publisher: str | None


def written(text: str) -> Written:
    """Cuts address, publisher and precision from a name."""
    name = _PATH_TAIL.sub("", _ADDRESS.sub("", text.strip())).strip("/ ")
    publisher, slash, name = name.rpartition("/")
    recipe: str | None = None
    if kind := _GGUF_KIND.search(name):
        recipe, name = kind.group(1).lower(), name[: kind.start()]
        recipe = {"f16": "fp16", "f32": "fp32"}.get(recipe, recipe)
    elif name.lower().endswith(".gguf"):
        name = name[: -len(".gguf")]
    seen = True
    while seen:  # suffixes may stand one behind another: -GPTQ-Int4, -it-qat-q4_0-gguf
        seen = False
        for pattern, stands_for in _PRECISION:
            matched = pattern.search(name)
            if matched and matched.start() > 0:
                seen = True
                name = name[: matched.start()]
                if stands_for is None:
                    recipe = recipe or DEFAULT_GGUF
                elif recipe is None or recipe == DEFAULT_GGUF:
                    recipe = recipe or stands_for.format(*matched.groups())
                break
    return Written(name, recipe, publisher if slash else None)


def tokens(name: str) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Sizes (30b, a3b, 8x7b), versions (3.1) and words of a name, less words that do not change an architecture."""
    text = re.sub(r"(?<=\d)_(?=\d)", ".", name.lower())
    sizes, versions, words = set(), set(), set()
    for token in _TOKEN.findall(text):
        if _SIZE.fullmatch(token):
            sizes.add(token)
        elif token[0].isdigit():
            if not _DATE.fullmatch(token) and not token.endswith("k"):  # 128k: a context
                versions.add(token)
        elif token not in _TUNED and token != "v":
            words.add(token)
    return frozenset(sizes), frozenset(versions), frozenset(words)


def matches(text: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of entries that `text` may mean, the nearest first; each of `known` comes with its aliases.

    An entry matches where one of its names has every size, version and word of the text; the text may leave words, versions and
    sizes out. The fewer it leaves out, the nearer; entries equally near stay in order. Empty where the text names no family.
    """
    sizes, versions, words = tokens(written(text).base)
    if not words:
        return []
    found: dict[str, int] = {}
    for name, aliases in known.items():
        for alias in (name, *aliases):
            has_sizes, has_versions, has_words = tokens(alias.rpartition("/")[2])
            if not (sizes <= has_sizes and versions <= has_versions and words <= has_words):
                continue
            left_out = 4 * len(has_words - words) + 2 * len(has_versions - versions) + len(has_sizes - sizes)
            found[name] = min(left_out, found.get(name, left_out))
    least = min(found.values(), default=0)
    return [name for name, left_out in found.items() if left_out == least]
