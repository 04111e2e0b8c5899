"""Hardware as people write it: the driver's name, makers' and clouds' forms, sizes, counts, nodes and MIG slices.

A name is cut into a count, a memory size, a form factor and a product (`NVIDIA A100-SXM4-80GB` = a100, sxm, 80 GB). Words that
only name the maker or the kind of memory are dropped. An entry of the catalog matches where its product has the same numbers
and no word that contradicts: `4090` is the rtx-4090 and not the rtx-4090-d. Knows texts alone, not what an entry holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

# words that do not tell products apart
_NOISE = frozenset(
    (
        *("nvidia", "amd", "intel", "apple", "google", "huawei", "aws", "amazon", "azure", "cloud", "tpu"),
        *("geforce", "tesla", "instinct", "radeon", "rx", "platinum", "graphics", "oam", "vf"),
        *("gpu", "gpus", "card", "cards", "tensor", "core", "cores", "accelerator", "accelerators", "processor", "soc", "npu", "cpu"),
        *("hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr5", "gddr5x", "gddr6", "gddr6x", "gddr7", "lpddr5", "lpddr5x"),
        *("vram", "ram", "memory", "unified", "device"),
        *("data", "center", "datacenter", "generation", "edition", "mac", "studio", "mini", "macbook", "air", "imac", "the", "with", "w", "of", "a"),
        *("r", "tm", "founders", "gaming", "desktop", "superchip", "developer", "devkit", "kit", "module", "nvlink"),
    )
)
_PARTS = frozenset(("chip", "die", "gcd", "stack"))  # half of a package: an entry of one is meant only where the text says so
_BOXES = frozenset(("hgx", "dgx", "node", "baseboard", "platform", "station", "superpod", "basepod", "pod", "rack"))
_FORMS = {"sxm": "sxm", "pcie": "pcie", "pci": "pcie", "nvl": "nvl"}
_VENDOR_WORDS = {
    **dict.fromkeys(("mac", "macbook", "imac", "apple"), "Apple"),
    **dict.fromkeys(("nvidia", "tesla", "geforce", "quadro", "rtx", "gtx", "titan", "jetson", "dgx", "hgx"), "NVIDIA"),
    **dict.fromkeys(("amd", "instinct", "radeon", "rx", "epyc", "ryzen", "threadripper"), "AMD"),
    **dict.fromkeys(("intel", "xeon", "arc", "gaudi"), "Intel"),
    **dict.fromkeys(("google", "tpu"), "Google"),
    **dict.fromkeys(("huawei", "ascend", "atlas"), "Huawei"),
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:gb|gib|g)")
_MIG = re.compile(r"(?:mig[-.\s_]*)?(\d+g\.\d+gb)(?:\+me)?(?![a-z0-9])")
_TIMES = r"\s*[x×*]\s*"
_NODES = re.compile(r"\s*(\d{1,4})\s*(?:nodes?|boxes|servers?|machines?)(?:\s*(?:of|with|,|-|[x×*])\s*|\s+)", re.IGNORECASE)
_ON_NODES = re.compile(r"[\s,(]*(?:(?:across|on|over|in)\s+)?(\d{1,4})\s*(?:nodes?|servers?)\)?\s*$", re.IGNORECASE)
_BEFORE = re.compile(rf"\s*(\d{{1,8}}){_TIMES}(?:(\d{{1,8}}){_TIMES})?(?=\S)", re.IGNORECASE)
_BARE = re.compile(r"\s*(\d{1,3})\s+(?=\S)")
_WORD_COUNT = re.compile(r"\s*(single|one|dual|two|triple|three|quad|four|six|eight|octa)[\s-]+(?=\S)", re.IGNORECASE)
_WORD_COUNTS = {"single": 1, "one": 1, "dual": 2, "two": 2, "triple": 3, "three": 3, "quad": 4, "four": 4, "six": 6, "eight": 8, "octa": 8}
_OF_GPUS = re.compile(r"\s*gpu[-_ ](?=\d{1,4}x[-_ ])", re.IGNORECASE)  # gpu_8x_h100_sxm
_BEHIND = re.compile(r"(?:\s*:\s*|\s*[x×*]\s*)(\d{1,4})\s*$|\s+(\d{1,4})[x×]\s*$|\s*[([]\s*[x×*]?\s*(\d{1,4})\s*[x×*]?\s*[)\]]\s*$", re.IGNORECASE)
_WAYS = re.compile(r"(?<![\w.])(\d{1,3})[\s-]*(?:gpus?|way|cards?|accelerators?|chips?)(?![a-z0-9])", re.IGNORECASE)
_CORES = re.compile(r"\(?\b\d+[-\s]core\b(?:\s+(?:gpu|cpu|processor))?\)?")
_PIECE = re.compile(r"\d+(?:\.\d+)?gi?b?(?![a-z0-9])|[a-z]+\d+[a-z]*|\d+[a-z]*|[a-z]+|\+")
_SERIES = re.compile(r"(rtx|gtx|rx|xeon|epyc|arc|ascend|gaudi|trainium|inferentia)(\d+[a-z]*)")
_VARIANT = re.compile(r"(\d{3,4})(?=(?:ti|super|xtx?|gre|ada|d)+$)([a-z]+)")
_LONG = re.compile(r"[a-z]+\d{3,}[a-z]*")
_VARIANTS = re.compile(r"ti|super|xtx|xt|gre|ada|d")


LONGEST = 300  # characters of a name that is read at all


class Counted(NamedTuple):
    """A name without its count: so many nodes of so many devices each.

    Attributes
    ----------
    nodes : int
        1, or the first of two counts (`2x8xH100`).
    devices : int or None
        Devices of a node, or machines of a kind; None where no count was written.
    name : str
        What is left.
    """

    nodes: int
    devices: int | None
    name: str


class Product(NamedTuple):
    """What a name says of a device.

    Attributes
    ----------
    numbers : frozenset of str
        Words with a digit: the product's number.
    words : frozenset of str
        Other words, less noise, box and form factor.
    form : str or None
        sxm, pcie or nvl.
    size_gb : float or None
        Memory. [GB]
    mig : str or None
        A slice, such as 3g.40gb.
    box : str or None
        A word that names a whole machine: dgx, hgx, node, station …
    vendor : str or None
        A maker that the name gives and an entry may not.
    memory : str or None
        A kind of memory: hbm3.
    """

    numbers: frozenset[str]
    words: frozenset[str]
    form: str | None
    size_gb: float | None
    mig: str | None = None
    box: str | None = None
    vendor: str | None = None
    memory: str | None = None

    @property
    def names_something(self) -> bool:
        """Whether more is left than noise: a number, or a word long enough to be a product's name."""
        return any(len(number) > 1 for number in self.numbers) or any(len(word) >= 4 and word not in _WEAK for word in self.words)


_NO_PLURAL = frozenset(("v100s", "l40s"))  # products of their own
_WEAK = frozenset(("ultra", "super", "server", "stack", "pair", "workstation", "station", "edge", "quad"))


def readings(text: str) -> list[Counted]:
    """Every way to read a count out of a name, the whole text first: before, behind, or with a colon; `2x8xH100` has two levels."""
    if len(text) > LONGEST:
        return []
    found = [Counted(1, None, text.strip())]
    if prefix := _OF_GPUS.match(text):
        found += readings(text[prefix.end() :])
    if ahead := _NODES.match(text):
        for inner in readings(text[ahead.end() :]):
            found.append(Counted(int(ahead.group(1)), inner.devices, inner.name))
    if (spread := _ON_NODES.search(text)) and spread.start() > 0 and (nodes := int(spread.group(1))):
        for inner in readings(text[: spread.start()]):  # `16x H100 (2 nodes)`
            if inner.devices and inner.devices % nodes == 0:
                found.append(Counted(nodes, inner.devices // nodes, inner.name))
    if before := _BEFORE.match(text):
        first, second, rest = int(before.group(1)), before.group(2), text[before.end() :].strip()
        found.append(Counted(1, first, rest) if second is None else Counted(first, int(second), rest))
    if behind := _BEHIND.search(text):
        found.append(Counted(1, int(next(filter(None, behind.groups()))), text[: behind.start()].strip()))
    if ways := _WAYS.search(text):
        rest = f"{text[: ways.start()]} {text[ways.end() :]}".strip(" -_x,")
        outer = _BEFORE.match(rest)  # `2x HGX H100 8-GPU`
        found.append(Counted(int(outer.group(1)) if outer else 1, int(ways.group(1)), rest[outer.end() :] if outer else rest))
    if word := _WORD_COUNT.match(text):
        found.append(Counted(1, _WORD_COUNTS[word.group(1).lower()], text[word.end() :].strip()))
    if bare := _BARE.match(text):
        found.append(Counted(1, int(bare.group(1)), text[bare.end() :].strip()))
    return [one for one in found if one.name]


@lru_cache(maxsize=4096)
def product(text: str) -> Product:
    """What a name says, without its count."""
    text = re.sub(r"\((?:r|tm|c)\)|[®™]", " ", text.lower())
    text = re.sub(r"\bmax[- ]q\b", "maxq", re.sub(r"\b(mac(?:book)?) pro\b", r"\1", text))
    text = _CORES.sub(" ", text)
    mig = _MIG.search(text)
    if mig:
        text = f"{text[: mig.start()]} {text[mig.end() :]}"
    numbers, words = set(), set()
    form = size = box = vendor = memory = None
    for chunk in re.split(r"[^a-z0-9.+]+", text):
        for piece in _pieces(chunk):
            vendor = _VENDOR_WORDS.get(piece, vendor)
            if matched := _SIZE.fullmatch(piece):
                size = float(matched.group(1))
            elif (stem := piece.rstrip("0123456789")) in _FORMS and not (stem == "nvl" and piece != stem):
                form = _FORMS[stem]
            elif piece in _BOXES:
                box = piece
            elif piece in _NOISE or piece == "mig":
                memory = piece if re.match(r"(?:hbm|gddr)\d", piece) else memory
            elif any(one.isdigit() for one in piece):
                numbers.add(piece)
            else:
                words.add(piece)
    if any(number.startswith("a") for number in numbers):
        words.discard("quadro")  # Quadro RTX A6000: the name before Ampere
    return Product(frozenset(numbers), frozenset(words), form, size, mig.group(1) if mig else None, box, vendor, memory)


def without_slice(text: str) -> str:
    """A name less its MIG profile."""
    return _MIG.sub(" ", text.lower()).strip(" -_.")


def _pieces(chunk: str) -> Iterable[str]:
    """`rtx4090` as rtx and 4090, `3090ti` as 3090 and ti, `a100` whole, `max+` as max and +."""
    for piece in _PIECE.findall(chunk):
        series = _SERIES.fullmatch(piece)
        if series:
            yield series.group(1)
        number = series.group(2) if series else piece
        if variant := _VARIANT.fullmatch(number):
            yield variant.group(1)
            yield from _VARIANTS.findall(variant.group(2))
        else:
            yield number


def matches(asked: Product, known: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of entries that `asked` may mean, the nearest alone; each of `known` comes with its aliases.

    An entry matches where a name of it has the same numbers, and the words of all its names hold the words asked for; or where the
    numbers asked for are spread over its names (`GB10 DGX Spark`, `Ryzen AI Max+ 395 w/ Radeon 8060S`), or else begin its number
    (`MLU370`). The fewer words of the entry are left out, the nearer. A name without a number matches by its words.
    """
    if not asked.names_something:
        return []
    found: dict[str, int] = {}
    for name, aliases in known.items():
        every = [product(one) for one in (name, *aliases) if "/" not in one or one == name]
        if asked.form is not None and (forms := {one.form for one in every} - {None}) and asked.form not in forms:
            continue
        words = frozenset[str]().union(*(one.words for one in every))
        numbers = frozenset[str]().union(*(one.numbers for one in every))
        if not (asked.words - _PARTS <= words and asked.numbers <= numbers and words & _PARTS <= asked.words):
            continue
        if name.count(".") > 1 and not asked.words & words:
            continue  # bm.gpu.h100.8 is named whole; `8 H100s` is a count
        boxed = [one for one in every if asked.box is None or one.box == asked.box]
        alike = [one for one in boxed if one.numbers == asked.numbers] if asked.numbers else boxed
        if alike:
            alike = [one for one in alike if not _variants(one) - asked.words] or ([] if asked.numbers else alike)
        if alike:
            found[name] = min(2 * len(one.words - asked.words) + 3 * len(asked.words - one.words - _PARTS) + (one.box != asked.box) for one in alike)
            if not asked.numbers:
                found[name] += 3 * min(len(one.numbers) for one in alike)
        elif boxed and len(asked.numbers) > 1 and not any(number.isdigit() and len(number) < 3 for number in asked.numbers):
            found[name] = 100
        elif any(_LONG.fullmatch(number) for number in asked.numbers) and any(asked.numbers < one.numbers for one in boxed):
            found[name] = 200
    least = min(found.values(), default=0)
    return [name for name, far in found.items() if far == least]


def singular(number: str) -> str:
    """A product's number without the s of a plural: `3090s`, `h100s`."""
    return number if number in _NO_PLURAL else number.removesuffix("s")


def _variants(one: Product) -> frozenset[str]:
    """Words of a product that make another product of it where they are left out: the Ti of an RTX 5060 Ti, the Max of an M4 Max."""
    sold = {"ti", "super", "xt", "xtx", "d", "gre", "quadro"}
    if any(re.fullmatch(r"m\d", number) for number in one.numbers):
        sold |= {"max", "pro", "ultra"}
    return one.words & sold


class Candidate(NamedTuple):
    """An entry that a name may mean.

    Attributes
    ----------
    sizes_gb : tuple of float
        Memory by every definition, and the sizes that its names give.
    is_system, is_unified : bool
        A system; a device that shares its memory with the CPU and is sold with several sizes up to the entry's.
    is_exact : bool
        One of its names says what the text says, no more and no less.
    has_box : bool
        One of its names has the text's word for a box: the DGX Spark is a device.
    memory : str
        Kind of its memory, in lower case.
    """

    name: str
    sizes_gb: tuple[float, ...]
    is_system: bool
    is_unified: bool = False
    is_exact: bool = False
    has_box: bool = False
    memory: str = ""


_FORM_ORDER = ("sxm", None, "pcie", "nvl")
SIZE_TOLERANCE = 0.08  # makers' and drivers' readings of one size: 180 and 192 GB, 94 and 96 GB


def choose(asked: Product, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that agree with the size and form factor asked for, the one that the name stands for first.

    Devices come before systems, unless the name has a word for a box; an entry with exactly this name before others; SXM before PCIe
    before NVL; more memory before less. Empty where no size agrees.
    """
    found = list(candidates)
    if asked.box is None and any(not one.is_system for one in found):
        found = [one for one in found if not one.is_system]
    if asked.form is not None and (alike := [one for one in found if product(one.name).form == asked.form]):
        found = alike
    if asked.memory is not None and (alike := [one for one in found if one.memory == asked.memory]):
        found = alike
    if asked.size_gb is not None:
        off = {one.name: _distance(one, asked.size_gb) for one in found}
        least = min(off.values(), default=1.0)
        found = [one for one in found if off[one.name] <= min(SIZE_TOLERANCE, least + 0.01)]

    def order(one: Candidate) -> tuple[bool, bool, int, float]:
        return one.is_system and asked.box is None, not one.is_exact, _FORM_ORDER.index(product(one.name).form), -max(one.sizes_gb, default=0.0)

    return sorted(found, key=order)


def _distance(one: Candidate, size_gb: float) -> float:
    """How far a size is from the nearest of an entry's, as a fraction; nothing where a smaller one is sold."""
    off = min((abs(size / size_gb - 1) for size in one.sizes_gb), default=1.0)
    return 0.0 if one.is_unified and size_gb <= max(one.sizes_gb) * (1 + SIZE_TOLERANCE) else off


def related(asked: Product, known: Mapping[str, Iterable[str]], most: int = 4) -> list[str]:
    """Names of entries of the same series as an unknown product, the nearest number first: `H300` gives h100, h200 …, never another maker's."""
    found: dict[str, float] = {}
    for name in known:
        has = product(name)
        if has.box or not _same_series(asked, has):
            continue
        found[name] = min(abs(_digits(a) - _digits(b)) for a in asked.numbers or {""} for b in has.numbers or {""})
    return sorted(found, key=lambda name: found[name])[:most]


def _same_series(asked: Product, has: Product) -> bool:
    if not asked.names_something:
        return False
    if any(re.fullmatch(r"m\d", number) for number in has.numbers) and not any(re.fullmatch(r"m\d", number) for number in asked.numbers):
        return False  # Apple's one-digit numbers and other makers' M40
    lead_asked, lead_has = {_lead(one) for one in asked.numbers}, {_lead(one) for one in has.numbers}
    if lead_asked - {"", "x"}:
        return bool((lead_asked & lead_has) - {"", "x"}) and asked.words <= has.words | {"super", "ultra", "pro"}
    series = {word for word in asked.words & has.words if word not in ("ti", "super", "pro", "max", "d", "+", "ai", "ryzen")}
    return bool(series)


def _lead(number: str) -> str:
    return number[: len(number) - len(number.lstrip("abcdefghijklmnopqrstuvwxyz"))]


def _digits(number: str) -> float:
    found = re.search(r"\d+", number)
    return float(found.group()) if found else 0.0
