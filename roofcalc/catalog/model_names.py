"""Models as people write them: repository ids of any publisher, hub addresses, Ollama tags, GGUF files, precision suffixes.

A name is cut into a base (`Qwen3-30B-A3B`), a precision (`-FP8`, `-AWQ`, `:Q4_K_M` become a weights recipe) and words that
do not change the architecture (`-Instruct`, `-it`, `-2507`). An entry of the catalog matches where its name has the same
family, version and sizes. Knows texts alone, not what an entry holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

_ADDRESS = re.compile(
    r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|modelscope\.cn/models|ollama\.com(?:/library)?|openrouter\.ai)/"
    r"|^(?:hf|ollama):(?://)?|^ollama (?:run|pull) ",
    re.IGNORECASE,
)
_PATH_TAIL = re.compile(r"/(?:tree|blob|resolve)/.*$|[?#].*$")
_GGUF = r"(?:ud[-_])?(?:iq[1-8]_(?:xxs|xs|nl|s|m)|q[2-8]_k(?:_(?:xxl|xl|l|m|s))?|q[2-8]_[01]|tq[12]_0|mxfp4_moe|bf16|f16|f32)"
_GGUF_KIND = re.compile(rf"[-.:_/ ]({_GGUF})(?:\.gguf)?$", re.IGNORECASE)
_SHARD = re.compile(r"[-_]\d{5}-of-\d{5}(?=\.|$)")
_OFFERED = re.compile(r":(?:free|nitro|extended|latest|online|thinking)$", re.IGNORECASE)  # a router's word behind a name

# a suffix, and the weights recipe that it stands for; longest first
_PRECISIONS: tuple[tuple[str, str | None], ...] = (
    (r"[-.]quantized[-.]w4a16", "w4a16"),
    (r"[-.]quantized[-.]w8a8", "w8a8"),
    (r"[-.]quantized[-.]w8a16", "w8a16"),
    (r"[-_. ]w4a16(?:[-_.]g\d+)?", "w4a16"),
    (r"[-_. ]w8a8[-_.]fp8", "fp8"),
    (r"[-_. ]w8a8(?:[-_.]int8)?", "w8a8"),
    (r"[-_. ]w8a16", "w8a16"),
    (r"[-_. ]w4afp8", "w4a16"),
    (r"[-_. ](?:int4[-_.])?awq(?:[-_.](?:int4|4bit|w4a16))?", "awq"),
    (r"[-_. ]gptq[-_.](?:int8|8bits?|w8a16)", "gptq-int8"),
    (r"[-_. ]gptq[-_.](?:int3|3bits?)", "gptq-int3"),
    (r"[-_. ]gptq(?:[-_.](?:int4|4bits?|w4a16))?(?:[-_.]\d+g)?(?:[-_.]actorder(?:[-_.]true)?)?", "gptq"),
    (r"[-_. ](?:int4[-_.](?:mixed[-_.])?)?auto[-_]?round(?:[-_. ](?:int4|awq|gptq))?", "gptq"),
    (r"(?:[-_.]unsloth)?[-_. ](?:bnb|bitsandbytes)(?:[-_.](?:4bit|nf4))?", "nf4-dq"),
    (r"(?:[-_.]unsloth)?[-_. ](?:bnb|bitsandbytes)[-_.](?:8bit|int8)", "bnb-8bit"),
    (r"[-_. ]nf4", "nf4"),
    (r"[-_. ]hqq(?:[-_.]4bit)?", "hqq"),
    (r"[-_. ]nvfp4(?:a16)?(?:[-_.](?:kv|fp8kv|awq|qad|fp8))?", "nvfp4"),
    (r"[-_. ]mxfp4[-_.]q([48])", "mlx-{0}bit experts=mxfp4"),
    (r"[-_. ]mxfp4", "mxfp4"),
    (r"[-_. ]mxfp8", "mxfp8"),
    (r"[-_. ]fp4", "nvfp4"),
    (r"[-_. ](?:f8|fp8)(?:[-_.](?:e4m3|dynamic|kv|kv[-_]cache|static|block|blockwise|pertensor|static-pertensor|w8a8))*", "fp8"),
    (r"[-_. ](?:exl[23][-_. ])?(\d(?:\.\d{1,2})?)[-_. ]?bpw[-_. ]h(\d)(?:[-_. ]exl[23])?", "linear={0}bpw head={1}bpw"),
    (r"[-_. ](?:exl[23][-_. ])?(\d(?:\.\d{1,2})?)[-_. ]?bpw(?:[-_. ]exl[23])?", "linear={0}bpw head=6bpw"),
    (r"[-_. ]mlx[-_.](\d)bits?(?:[-_.]dwq[-_.\w]*)?", "mlx-{0}bit"),
    (r"[-_. ](\d)bits?[-_.]mlx", "mlx-{0}bit"),
    (r"[-_. ](\d)bit[-_.]dwq[-_.\w]*", "mlx-{0}bit"),
    (r"[-_. ]mlx", "mlx-4bit"),
    (r"[-_. ](?:qlora|spinquant)[-_.]int4(?:[-_.]eo8)?", "int4"),
    (r"[-_. ]int8", "int8"),
    (r"[-_. ]int4", "int4"),
    (r"[-_. ]8[-_]?bits?", "int8"),
    (r"[-_. ]4[-_]?bits?", "int4"),
    (r"[-_.]qat[-_.]q4_0(?:[-_.](?:gguf|unquantized))?", "q4_0"),
    (r"[-_. ]q4[-_]0[-_.](?:gguf|unquantized)", "q4_0"),
    (r"[-_.]qat", "q4_0"),
    (r"[-_.]i1[-_.]gguf", None),
    (r"[-_. ]gguf", None),
    (r"[-_. ](?:bf16|fp16|f16|16bit)", "bf16"),
    (r"[-_. ]q([2356])", "q{0}_k"),
    (r"[-_. ]q4", "q4_k_m"),
    (r"[-_. ]q8", "q8_0"),
    (r"[-_. ]i1", None),
)
_PRECISION = [(re.compile(pattern + r"(?:[-_]v\d)?$", re.IGNORECASE), recipe) for pattern, recipe in _PRECISIONS]
_SHORT_GGUF = {"q3_k": "q3_k_m", "q5_k": "q5_k_m", "f16": "fp16", "f32": "fp32"}
_MLX_PUBLISHER = "mlx-community"
_MLX_BITS = {"int4": "mlx-4bit", "int8": "mlx-8bit", "mxfp4": "mlx-mxfp4"}
DEFAULT_GGUF = "q4_k_m"  # of a GGUF repository that names no kind, as the hub's own commands take

# words that do not change an architecture
_TUNED = frozenset(
    (
        *("instruct", "it", "chat", "hf", "pt", "base", "sft", "dpo", "rlhf", "tuned", "preview", "exp", "latest", "turbo", "text", "tune"),
        *("thinking", "reasoning", "assistant", "release", "c4ai", "ai21", "meta", "mistralai", "nvidia", "unsloth", "community", "google"),
        *("abliterated", "uncensored", "qat", "model", "models", "dynamic", "terminus", "versatile", "instant", "specdec", "free", "maas"),
        *("original", "official", "ft", "lora", "merged", "heretic", "hybrid", "fast", "ultra-fast", "us", "eu", "vision-instruct"),
    )
)
_DATE = re.compile(r"2[0-9](?:0[1-9]|1[0-2])|0[1-9](?:0[1-9]|[12]\d|3[01])|1[0-2](?:0[1-9]|[12]\d|3[01])|20\d{6}")  # 2507, 0528, 20250101
_TOKEN = re.compile(r"\d+x\d+(?:\.\d+)?[bmk]?|[ae]\d+(?:\.\d+)?b(?![a-z])|\d+(?:\.\d+)*(?:[bmkt](?![a-z]))?|[a-z]+")
_SIZE = re.compile(r"\d+x\d+(?:\.\d+)?[bm]?|[ae]?\d+(?:\.\d+)?[bmt]")


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

    @property
    def repository(self) -> str:
        """PUBLISHER/NAME without precision, or the name alone."""
        return f"{self.publisher}/{self.base}" if self.publisher else self.base


def address_free(text: str) -> str:
    """A name without the hub's address, `ollama run`, and what stands behind a repository; a file below it takes its place."""
    name = text.strip()
    while (shorter := _ADDRESS.sub("", name)) != name:
        name = shorter.strip()
    path = re.sub(r"[?#].*$", "", name)
    if (file := re.search(r"/(?:tree|blob|resolve)/.*?([^/]+)\.gguf$", path, re.IGNORECASE)) is not None:
        return f"{path[: path.find('/', path.find('/') + 1)].rpartition('/')[0]}/{file.group(1)}.gguf"
    return _PATH_TAIL.sub("", name).strip("/ ")


def written(text: str) -> Written:
    """Cuts address, publisher and precision from a name."""
    name = " ".join(re.sub(r"[()\[\]]", " ", _SHARD.sub("", _OFFERED.sub("", address_free(text)))).split())
    publisher, slash, name = name.rpartition("/")
    recipe: str | None = None
    if name.lower().endswith(".gguf"):
        name, recipe = name[: -len(".gguf")], DEFAULT_GGUF
    if kind := _GGUF_KIND.search(name):
        found, name = kind.group(1).lower().replace("-", "_"), name[: kind.start()]
        recipe = _SHORT_GGUF.get(found, found)
        name = re.sub(r"[-_. ](?:i1|imat|imatrix)$", "", name, flags=re.IGNORECASE)
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
                    recipe = stands_for.format(*matched.groups())
                    recipe = _SHORT_GGUF.get(recipe, recipe)
                break
    if publisher.lower().endswith(_MLX_PUBLISHER):
        recipe = next((f"mlx-{bits.group(1)}bit" for bits in re.finditer(r"[-_](\d)bit$", name)), _MLX_BITS.get(recipe or "", recipe))
        name = re.sub(r"[-_]\d(?:\.\d)?bit$", "", name)
    return Written(name, recipe, publisher if slash else None)


_INNER = re.compile(r"[-_. ](awq|gptq|fp8|nvfp4|mxfp4|int4|int8|w4a16|w8a8|w8a16|nf4|4bit|8bit|gguf)(?=[-_. ])", re.IGNORECASE)


def inner_recipe(base: str) -> str | None:
    """The recipe of a precision that stands amid a name: `Qwen3-32B-AWQ-finetune`."""
    found = _INNER.search(base)
    word = found.group(1).lower() if found else ""
    return {"4bit": "int4", "8bit": "int8", "gguf": DEFAULT_GGUF, "": None}.get(word, word)


class Tokens(NamedTuple):
    """A name in parts: sizes (30b, a3b, 8x7b), versions (3.1), other words, and what does not change an architecture (it, 2507)."""

    sizes: frozenset[str]
    versions: frozenset[str]
    words: frozenset[str]
    tuned: frozenset[str]
    order: tuple[str, ...]


@lru_cache(maxsize=16384)
def tokens(name: str) -> Tokens:
    """The parts of a name."""
    text = re.sub(r"(?<=\d)_(?=\d)", ".", name.lower()).replace("+", "-plus")
    text = re.sub(r"(?<=\d)p(?=\d)", ".", text)  # llama-v3p1
    text = re.sub(r"(?<=[a-z])(\d)-(\d)(?=-\d+b)", r"\1.\2", text)  # llama3-1-70b
    sizes, versions, words, tuned, order = set(), set(), set(), set(), []
    for token in _TOKEN.findall(text):
        if _SIZE.fullmatch(token):
            sizes.add(token)
        elif token[0].isdigit():
            if _DATE.fullmatch(token) or token.endswith("k"):  # 128k: a context
                tuned.add(token)
                continue
            versions.add(token)
        elif token in _TUNED or token == "v":
            tuned.add(token)
            continue
        else:
            words.add(token)
        order.append(token)
    return Tokens(frozenset(sizes), frozenset(versions), frozenset(words), frozenset(tuned), tuple(order))


def squashed(name: str) -> str:
    """A name without marks between its words: `gptoss120b`."""
    return re.sub(r"[^a-z0-9.]", "", name.lower())


def matches(base: str, known: Mapping[str, Iterable[str]], with_sizes: bool = True) -> list[str]:
    """Names of entries that `base` may mean, the nearest alone; each of `known` comes with its aliases.

    An entry matches where one of its names has every size, version and word of the text; the text may leave words, versions and
    sizes out. The fewer it leaves out, the nearer; among equals those with the same words for tuning and dates. Empty where the text
    names no family. Without `with_sizes` the text's sizes are not compared.
    """
    asked = tokens(base)
    if not any(len(word) > 1 for word in asked.words):
        return []
    found: dict[str, tuple[int, int]] = {}
    for name, aliases in known.items():
        for alias in (name, *aliases):
            has = tokens(alias.rpartition("/")[2])
            if not (asked.versions <= has.versions and asked.words <= has.words and (not with_sizes or asked.sizes <= has.sizes)):
                continue
            far = 4 * len(has.words - asked.words) + 2 * len(has.versions - asked.versions) + len(has.sizes - asked.sizes)
            distance = far, len(has.tuned ^ asked.tuned)
            found[name] = min(distance, found.get(name, distance))
    least = min((far for far, _ in found.values()), default=0)
    nearest = {name: tuned for name, (far, tuned) in found.items() if far == least}
    alike = min(nearest.values(), default=0)
    return [name for name, tuned in nearest.items() if tuned == alike]


def contained(base: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    """Entries whose name stands whole within `base`, the longest alone: `Hermes-3-Llama-3.1-405B` is a fine-tune of llama-3.1-405b.

    A name must have a family and a size; a version may be left out where the text has none behind the family.
    """
    asked = tokens(base).order
    found: dict[str, int] = {}
    for name, aliases in known.items():
        for alias in (name, *aliases):
            has = tokens(alias.rpartition("/")[2])
            if not (has.sizes and has.words):
                continue
            for order in {has.order, tuple(one for one in has.order if one not in has.versions)}:
                for begin in range(len(asked) - len(order) + 1):
                    behind = asked[begin + len(order) : begin + len(order) + 1]
                    if asked[begin : begin + len(order)] == order and not any(_SIZE.fullmatch(one) for one in behind):
                        found[name] = max(len(order), found.get(name, 0))
    most = max(found.values(), default=0)
    return [name for name, length in found.items() if length == most]
