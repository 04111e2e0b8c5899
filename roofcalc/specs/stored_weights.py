"""Dtypes of a model's weights under a recipe, by tensor class.

Where tensors of one class differ (layers in other dtypes, GGUF kinds), the class has their mean bytes per element, and computes in the
format of most of its elements.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.specs import dtypes, gguf_kinds, weight_recipes
from roofcalc.specs.dtypes import Dtype
from roofcalc.specs.record import Record
from roofcalc.specs.weight_recipes import CLASSES, SIXTEEN_BIT_CLASSES, Item, Recipe

if TYPE_CHECKING:
    from roofcalc.specs.model import Dtypes, Model


K_BLOCK = 256  # weights of a block of K- and IQ-quants


class WeightDtypes(Record):
    """Storage dtype of each tensor class; `tower` is that of encoders, which take memory but are not modelled."""

    attention: Dtype
    mlp: Dtype
    experts: Dtype
    shared: Dtype
    state: Dtype
    router: Dtype
    index: Dtype
    norm: Dtype
    embed: Dtype
    head: Dtype
    tower: Dtype

    def of(self, tensor: str) -> Dtype:
        """The dtype of a tensor class."""
        found: Dtype = self.__dict__[tensor]
        return found

    def bytes_of(self, tensor: str) -> float:
        """Bytes per element of a tensor class."""
        return self.of(tensor).bytes_per_element


def sixteen_bit(given: Dtypes) -> str:
    """A checkpoint's 16-bit type."""
    return "fp16" if given.default == "fp16" else "bf16"


@lru_cache(maxsize=1024)
def weight_dtypes(model: Model, weights: str) -> WeightDtypes:
    """The dtypes of a model's weights.

    Parameters
    ----------
    weights : str
        A recipe as in `roofcalc.specs.weight_recipes`.

    Raises
    ------
    RoofcalcError
        The recipe names a matrix that the model does not have.
    """
    recipe = weight_recipes.parse(weights)
    items = recipe.items
    if recipe.native:
        base = {name: _published(model.dtypes, name) for name in CLASSES}
        items = tuple(sorted((*_own_mix(model.dtypes), *items), key=lambda item: item.level)) if model.dtypes.mix else items
    else:
        base = {name: dtypes.dtype(sixteen_bit(model.dtypes)) for name in CLASSES}
    if recipe.gguf:
        base |= _gguf(model, recipe)
    known = _matrices(model) if any(item.matrix for item in items) else {}
    _check_names(items, recipe, known)
    return WeightDtypes(**{name: _of_class(model, name, base[name], items, known) for name in CLASSES})


def _own_mix(given: Dtypes) -> tuple[Item, ...]:
    return weight_recipes.parse(given.mix).items if given.mix else ()


def _published(checkpoint: Dtypes, tensor: str) -> Dtype:
    """The checkpoint's dtype of a class; router, indexer, norms and towers are 16-bit where the default is narrower."""
    given = None if tensor == "tower" else getattr(checkpoint, tensor)
    narrow = dtypes.dtype(checkpoint.default).bytes_per_element < 2
    if tensor == "tower":
        return _published(checkpoint, "norm")
    if given is None and tensor in SIXTEEN_BIT_CLASSES and narrow:
        return dtypes.dtype(sixteen_bit(checkpoint))
    return dtypes.dtype(given or checkpoint.default)


def _gguf(model: Model, recipe: Recipe) -> dict[str, Dtype]:
    """Means by class of a GGUF kind; router and norms are 32-bit there.

    Experts that were published in MXFP4 and whose rows K-quants do not divide (gpt-oss: 2,880 of blocks of 256) keep it in every kind.
    """
    tensors = gguf_kinds.by_class(model, recipe.gguf)
    found = {tensor: _mean([(size, dtypes.dtype(block)) for size, block in sizes]) for tensor, sizes in tensors.items()}
    if model.dtypes.experts == "mxfp4" and model.hidden % K_BLOCK:
        found["experts"] = dtypes.dtype("mxfp4")
    return {**found, "router": dtypes.dtype("fp32"), "norm": dtypes.dtype("fp32")}


def _matrices(model: Model) -> dict[str, set[str]]:
    """Classes of each matrix by its name in the model's description."""
    found: dict[str, set[str]] = {}
    for name in model.groups:
        for part in model.blocks[name].parts:
            for matrix in part.matrices(model.hidden):
                found.setdefault(matrix.name, set()).add(matrix.tensor)
    return found


def _check_names(items: Iterable[Item], recipe: Recipe, known: dict[str, set[str]]) -> None:
    for item in items:
        if item.matrix and not (known.get(item.matrix, set()) & set(item.classes or known.get(item.matrix, ()))):
            classes = ("all", "linear", *CLASSES)
            hint = did_you_mean(item.matrix, (*classes, *known))
            lists = f"classes: {', '.join(classes)}; matrices: {', '.join(known)}"
            raise RoofcalcError(f"weights {recipe.label!r}: no class or matrix {item.matrix!r}{hint}; {lists}")


def _of_class(model: Model, tensor: str, base: Dtype, items: tuple[Item, ...], known: dict[str, set[str]]) -> Dtype:
    """The dtype of a class; the mean over its matrices and layers where items tell them apart."""
    mine = [item for item in items if (not item.classes or tensor in item.classes) and (not item.matrix or tensor in known[item.matrix])]
    if all(not item.matrix and item.last < 0 for item in mine):
        return dtypes.dtype(mine[-1].dtype) if mine else base
    sizes: list[tuple[int, Dtype]] = []
    layer = 0
    for name, count in model.runs:
        matrices = [one for part in model.blocks[name].parts for one in part.matrices(model.hidden) if one.tensor == tensor]
        for _ in range(count):
            for matrix in matrices:
                chosen = next((item.dtype for item in reversed(mine) if _selects(item, layer, matrix.name)), None)
                sizes.append((matrix.elements, dtypes.dtype(chosen) if chosen else base))
            layer += 1
    return _mean(sizes) if sizes else base


def _selects(item: Item, layer: int, matrix: str) -> bool:
    return (not item.matrix or item.matrix == matrix) and (item.last < 0 or item.first <= layer <= item.last)


def _mean(sizes: list[tuple[int, Dtype]]) -> Dtype:
    """One dtype for tensors of several: bytes averaged over the elements, arithmetic as for most of them."""
    totals: dict[Dtype, int] = {}
    for elements, dtype in sizes:
        totals[dtype] = totals.get(dtype, 0) + elements
    ordered = sorted(totals, key=lambda dtype: -totals[dtype])
    if len(ordered) == 1:
        return ordered[0]
    most, whole = ordered[0], sum(totals.values())
    mean = sum(dtype.bytes_per_element * elements for dtype, elements in totals.items()) / whole
    return Dtype("+".join(dtype.name for dtype in ordered), mean, most.compute, most.bits)
