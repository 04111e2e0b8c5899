"""Attention variants of a model: sliding windows, fewer KV heads, latent or linear attention, shared or narrower KV caches.

A variant is written as text: `window=1024:5of6` gives five of every six attention layers a window of 1,024 tokens;
`kv_heads=1,kv=fp8` combines two changes. Sizes that a change does not give are those of the layer it changes.
"""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs.attention import GQA
from roofcalc.specs.attention_spec import Index
from roofcalc.specs.latent_attention import MLA
from roofcalc.specs.model import Block, Model
from roofcalc.specs.record import replace
from roofcalc.specs.state_space import KDA, GatedDeltaNet, Lightning, State

ROPE_DIM = 64  # sizes of latent attention and of its indexer as in DeepSeek-V3 and V3.2
INDEX_HEADS = 64
INDEX_DIM = 128
CONVOLUTION = 4


class Change(NamedTuple):
    """The change `what=value` of `some` in every `of` attention layers."""

    what: str
    value: str
    some: int
    of: int


def parse(text: str) -> list[Change]:
    """The changes of a variant.

    Raises
    ------
    RoofcalcError
        An unknown change, a missing value, or a fraction of the layers that is not written as `a of b`.
    """
    changes = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\w+)(?:=([\w.-]+))?(?::(\d{1,5})\s*of\s*(\d{1,5}))?\s*", part)
        if match is None or match.group(1) not in (*CHANGES, "kv"):
            word = re.split(r"\W", part.strip())[0]
            raise RoofcalcError(
                f"variant: cannot read {part.strip()!r}{did_you_mean(word, (*CHANGES, 'kv'))}; "
                f"write it as window=1024:5of6; changes: {', '.join((*CHANGES, 'kv'))}"
            )
        what, value, some, of = match.groups()
        change = Change(what, value or "", int(some or 1), int(of or 1))
        if not 1 <= change.some <= change.of:
            raise RoofcalcError(f"variant: {part.strip()!r}: {change.some} of {change.of} layers: expected 1 to {change.of} of {change.of}")
        if what == "shared":
            if change.value:
                raise RoofcalcError(f"variant: shared takes no value, got {change.value!r}; write which layers reuse another's cache: shared:1of2")
            if change.some == change.of:
                raise RoofcalcError("variant: shared needs a part of the layers, such as shared:1of2: the others keep the caches that these reuse")
        elif not change.value:
            raise RoofcalcError(f"variant: {what} needs a value, such as {EXAMPLES[what]}")
        if what == "kv" and change.of > 1:
            raise RoofcalcError("variant: kv is the dtype of the whole cache and cannot be set for some layers")
        changes.append(change)
    return changes


def with_variant(model: Model, text: str) -> tuple[Model, str | None]:
    """The changed model, and the dtype of its KV cache where the variant sets one.

    Raises
    ------
    RoofcalcError
        A change that does not apply to a layer's attention.
    """
    changes = parse(text)
    found = _with_changes(model, changes, text)
    for place, change in enumerate(changes if len(changes) > 1 else ()):
        try:
            without = _with_changes(model, [*changes[:place], *changes[place + 1 :]], text)
            alone = _with_changes(model, [change], text)
        except RoofcalcError:  # the others need it
            continue
        if _layers(without) == _layers(found) and _layers(alone) != _layers((model, None)):
            word = change.what + (f"={change.value}" if change.value else "")
            raise RoofcalcError(f"variant {text!r}: {word} has no effect: another change of these layers replaces it")
    return found


def _with_changes(model: Model, changes: Sequence[Change], text: str) -> tuple[Model, str | None]:
    kv = None
    for change in changes:
        if change.what == "kv":
            kv = change.value
        else:
            model = _changed(model, change, text)
    return model, kv


def _layers(changed: tuple[Model, str | None]) -> tuple[list[Block], str | None]:
    """The blocks of the layers in order, whatever their names, and the dtype of the cache."""
    model, kv = changed
    return [model.blocks[name] for name, count in model.runs for _ in range(count)], kv


def _changed(model: Model, change: Change, text: str) -> Model:
    names: list[str] = []
    blocks: dict[str, Block] = {}
    met = 0
    for name in (name for name, count in model.runs for _ in range(count)):
        block = model.blocks[name]
        if block.attention is not None:
            if met % change.of < change.some:
                name = f"{name}_{change.what}"
                if name not in blocks:
                    block = CHANGES[change.what](block, _number(change, text))
                    _check(block, text)
                else:
                    block = blocks[name]
            met += 1
        names.append(name)
        blocks[name] = block
    if not met:
        raise RoofcalcError(f"variant {text!r}: {model.name} has no attention layers")
    return replace(model, blocks=blocks, layers=" ".join(names), mtp=None)


def _number(change: Change, text: str) -> int | str:
    if change.what in ("linear", "shared"):
        return change.value
    if not change.value.isdigit() or not 1 <= int(change.value) <= 10**9:
        raise RoofcalcError(f"variant {text!r}: {change.what} takes a whole number, got {change.value!r}")
    return int(change.value)


def _check(block: Block, text: str) -> None:
    for part in block.parts:
        for field, sentence in getattr(part, "problems", tuple)():
            raise RoofcalcError(f"variant {text!r}: {field + ': ' if field else ''}{sentence}")


def _heads(block: Block, what: str) -> GQA:
    if not isinstance(block.attention, GQA):
        kind = block.attention.type if block.attention else "none"
        raise RoofcalcError(f"variant: {what} needs layers with grouped-query attention, not of type {kind!r}")
    return block.attention


def _window(block: Block, value: int | str) -> Block:
    return replace(block, attention=replace(_heads(block, "window"), window=value, chunk=None, blocks=None))


def _chunk(block: Block, value: int | str) -> Block:
    return replace(block, attention=replace(_heads(block, "chunk"), chunk=value, window=None, blocks=None))


def _kv_heads(block: Block, value: int | str) -> Block:
    return replace(block, attention=replace(_heads(block, "kv_heads"), kv_heads=value))


def _shared(block: Block, value: int | str) -> Block:
    return replace(block, attention=replace(_heads(block, "shared"), kv="shared"))


def _mla(block: Block, value: int | str) -> Block:
    old = _heads(block, "mla")
    return replace(block, attention=MLA(old.heads, int(value), old.head_dim, ROPE_DIM, old.value_dim))


def _top_k(block: Block, value: int | str) -> Block:
    if not isinstance(block.attention, MLA):
        raise RoofcalcError("variant: top_k needs latent attention: mla=512,top_k=2048")
    latent = block.attention
    return replace(block, attention=replace(latent, index=Index(INDEX_HEADS, INDEX_DIM, int(value)), q_rank=latent.q_rank or latent.kv_rank))


def _linear(block: Block, value: int | str) -> Block:
    old = _heads(block, "linear")
    if value not in LINEAR:
        raise RoofcalcError(f"variant: linear={value}: invalid choice{did_you_mean(str(value), tuple(LINEAR))} (choose from {', '.join(LINEAR)})")
    return replace(block, attention=None, state=LINEAR[str(value)](old))


LINEAR: dict[str, Callable[[GQA], State]] = {
    "lightning": lambda old: Lightning(old.heads, old.head_dim),
    "gated_deltanet": lambda old: GatedDeltaNet(old.kv_heads, old.heads, old.head_dim, old.value_dim, CONVOLUTION),
    "kda": lambda old: KDA(old.heads, old.head_dim, CONVOLUTION),
}

CHANGES: dict[str, Callable[[Block, int | str], Block]] = {
    "window": _window,
    "chunk": _chunk,
    "kv_heads": _kv_heads,
    "shared": _shared,
    "mla": _mla,
    "top_k": _top_k,
    "linear": _linear,
}
EXAMPLES = {
    "window": "window=1024:5of6",
    "chunk": "chunk=8192:3of4",
    "kv_heads": "kv_heads=1",
    "mla": "mla=512",
    "top_k": "mla=512,top_k=2048",
    "linear": "linear=lightning:7of8",
    "kv": "kv=fp8",
}
