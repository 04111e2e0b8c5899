"""Hardware as people write it: the driver's name, makers' and clouds' forms, sizes, counts, nodes and MIG slices.

A name is cut into a count, a memory size, a form factor and a product (`NVIDIA A100-SXM4-80GB` = a100, sxm, 80 GB). Words that
only name the maker or the kind of memory are dropped. An entry of the catalog matches where its product has the same numbers
and no word that contradicts: `4090` is the rtx-4090 and not the rtx-4090-d. Knows texts alone, not what an entry holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

MAX_DIGITS = 8  # of a count

# words that do not tell products apart
_NOISE = frozenset(
    (
        *("nvidia", "amd", "intel", "apple", "google", "huawei", "aws", "amazon", "azure"),
        *("geforce", "tesla", "quadro", "instinct", "radeon", "rx", "platinum", "graphics", "hgx", "oam"),
        *("gpu", "gpus", "card", "cards", "tensor", "core", "cores", "accelerator", "accelerators", "processor", "chip", "soc"),
        *("hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr5x", "gddr6", "gddr6x", "gddr7", "lpddr5", "lpddr5x", "vram", "ram", "memory"),
        *("data", "center", "datacenter", "generation", "edition", "mac", "studio", "mini", "macbook", "imac", "the", "with", "of"),
    )
)
_FORMS = {"sxm": "sxm", "pcie": "pcie", "pci": "pcie", "nvl": "nvl"}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:gb|gib|g)")
_MIG = re.compile(r"(?:mig[-.\s]*)?(\d+g\.\d+gb)\b")
_TIMES = r"\s*[x×*]\s*"
_BEFORE = re.compile(rf"\s*(\d+){_TIMES}(?:(\d+){_TIMES})?(?=\S)", re.IGNORECASE)
_BEHIND = re.compile(r"(?:\s*:\s*|\s*[x×*]\s*)(\d{1,4})\s*$", re.IGNORECASE)
_PIECE = re.compile(r"\d+(?:\.\d+)?gi?b?(?![a-z0-9])|[a-z]+\d+[a-z]*|\d+[a-z]*|[a-z]+|\+")


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
        Other words, less noise and form factor.
    form : str or None
        sxm, pcie or nvl.
    size_gb : float or None
    mig : str or None
        A slice, such as 3g.40gb.
    """

    numbers: frozenset[str]
    words: frozenset[str]
    form: str | None
    size_gb: float | None
    mig: str | None = None


def readings(text: str) -> list[Counted]:
    """Every way to read a count out of a name, the whole text first: before, behind, or with a colon; `2x8xH100` has two levels."""
    found = [Counted(1, None, text.strip())]
    if before := _BEFORE.match(text):
        first, second = before.group(1), before.group(2)
        rest = text[before.end() :].strip()
        if len(first) <= MAX_DIGITS and len(second or "") <= MAX_DIGITS:
            if second is None:
                found.append(Counted(1, int(first), rest))
            else:
                found.append(Counted(int(first), int(second), rest))
    if behind := _BEHIND.search(text):
        rest = text[: behind.start()].strip()
        if rest:
            found.append(Counted(1, int(behind.group(1)), rest))
    return found


def product(text: str) -> Product:
    """What a name says, without its count."""
    text = re.sub(r"\((?:r|tm|c)\)|[®™]", " ", text.lower()).replace("macbook pro", "macbook").replace("max-q", "maxq").replace("max q", "maxq")
    mig = _MIG.search(text)
    if mig:
        text = f"{text[: mig.start()]} {text[mig.end() :]}"
    numbers, words, form, size = set(), set(), None, None
    for chunk in re.split(r"[^a-z0-9.+]+", text):
        for piece in _pieces(chunk):
            if matched := _SIZE.fullmatch(piece):
                size = float(matched.group(1))
            elif (stem := piece.rstrip("0123456789")) in _FORMS:
                form = _FORMS[stem]
            elif piece in _NOISE or piece == "mig":
                continue
            elif any(one.isdigit() for one in piece):
                numbers.add(piece)
            else:
                words.add(piece)
    return Product(frozenset(numbers), frozenset(words), form, size, mig.group(1) if mig else None)


def _pieces(chunk: str) -> Iterable[str]:
    """`rtx4090` as rtx and 4090, `a100` whole, `max+` as max and +."""
    for piece in _PIECE.findall(chunk):
        word = re.fullmatch(r"(rtx|gtx|xeon|epyc|arc|ascend|tpu|gaudi)(\d+[a-z]*)", piece)
        yield from word.groups() if word else (piece,)


def matches(text: str, known: Mapping[str, Iterable[str]]) -> list[str]:
    """Names of entries that `text` may mean, the nearest first; each of `known` comes with its aliases.

    An entry matches where some name of it has the same numbers and form factor, and no word that the text lacks or adds, except that
    the text may leave words out; the fewer are left out, the nearer.
    """
    asked = product(text)
    if not asked.numbers:
        return []
    found: dict[str, tuple[int, int]] = {}
    for place, (name, aliases) in enumerate(known.items()):
        for one in (name, *aliases):
            if "/" in one:
                continue
            has = product(one)
            if has.numbers != asked.numbers or not asked.words <= has.words:
                continue
            if asked.form is not None and has.form is not None and asked.form != has.form:
                continue
            left_out = len(has.words - asked.words)
            best = found.get(name)
            if best is None or left_out < best[0]:
                found[name] = (left_out, place)
    if not found:
        return []
    least = min(left_out for left_out, _ in found.values())
    return [name for name, (left_out, place) in sorted(found.items(), key=lambda item: item[1]) if left_out == least]


class Candidate(NamedTuple):
    """An entry that a name may mean: its memory in GB, all of a device's readings, and whether it is a system."""

    name: str
    sizes_gb: tuple[float, ...]
    is_system: bool


_BOX = re.compile(r"\b(dgx|hgx|node|server|nvl\d+|pod|ultraserver|superpod|rack)\b")
_FORM_ORDER = ("sxm", None, "pcie", "nvl")
SIZE_TOLERANCE = 0.08  # makers' and drivers' readings of one size: 180 and 192 GB, 94 and 96 GB


def choose(text: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    """The candidates that agree with the size and form factor that `text` names, the one that it stands for first.

    Devices come before systems, unless the text names a box; SXM before PCIe before NVL; more memory before less. Empty where no
    size agrees.
    """
    asked = product(text)
    found = list(candidates)
    wants_box = _BOX.search(text.lower()) is not None
    if not wants_box and any(not one.is_system for one in found):
        found = [one for one in found if not one.is_system]
    if asked.form is not None and (alike := [one for one in found if product(one.name).form == asked.form]):
        found = alike
    if asked.size_gb is not None:
        off = {one.name: min((abs(size / asked.size_gb - 1) for size in one.sizes_gb), default=1.0) for one in found}
        found = [one for one in found if off[one.name] <= SIZE_TOLERANCE]
        least = min((off[one.name] for one in found), default=0.0)
        found = [one for one in found if off[one.name] <= least + 0.01]

    def order(one: Candidate) -> tuple[int, int, float]:
        form = product(one.name).form
        return int(one.is_system), _FORM_ORDER.index(form), -max(one.sizes_gb, default=0.0)

    return sorted(found, key=order)
