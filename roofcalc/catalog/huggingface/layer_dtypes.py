"""Rules of a quantisation config, applied to each matrix of each layer -> the `dtype` of a catalog file."""

from collections import Counter
from typing import Any, NamedTuple

from roofcalc.catalog.huggingface.modules import EMBED, HEAD, Test, names, naming
from roofcalc.catalog.huggingface.plan import Plan
from roofcalc.specs.model import Block
from roofcalc.specs.schema import build


class Rule(NamedTuple):
    """A dtype for the modules of a list; None for those that stay in 16 bits. The first rule that holds applies."""

    test: Test
    dtype: str | None


class Scheme(NamedTuple):
    """What a quantisation config says.

    Attributes
    ----------
    rules : tuple of Rule
        For the matrices of the layers, the embedding and the LM head.
    kv, router : str, optional
        Dtype of the KV cache, and of the router where it is quantised.
    remarks : tuple of str
        What is not modelled.
    """

    rules: tuple[Rule, ...]
    kv: str | None = None
    router: str | None = None
    remarks: tuple[str, ...] = ()

    def of(self, layer: int, ways: tuple[tuple[str, ...], ...]) -> str | None:
        """The dtype of a matrix with these module names in a layer; None in 16 bits."""
        return next((rule.dtype for rule in self.rules if names(rule.test, layer, ways)), None)


def catalog_dtype(scheme: Scheme, plan: Plan, kind: str, hidden: int, wide: str) -> Any:
    """The `dtype` of a catalog file.

    Parameters
    ----------
    kind : str
        model_type, which decides the names of modules.
    wide : str
        The 16-bit dtype.
    """
    found = _matrices(scheme, plan, kind, hidden, wide)
    classes = {tensor: _most(cells) for tensor, cells in found.items()}
    main = next((classes[tensor] for tensor in ("attention", "state", "mlp", "experts") if tensor in classes), wide)
    usual = {tensor: wide if tensor == "index" else main for tensor in classes}  # what a class without an entry has
    result: dict[str, Any] = {"default": main, **{tensor: dtype for tensor, dtype in classes.items() if dtype != usual[tensor]}}
    embed, head = (scheme.of(0, ((module,),)) or wide for module in (EMBED, HEAD))
    if main != wide:
        result.update(embed=embed, head=head, router=scheme.router or wide, norm=wide)
    else:
        result.update({name: dtype for name, dtype in (("embed", embed), ("head", head), ("router", scheme.router or wide)) if dtype != wide})
    if scheme.kv:
        result["kv"] = scheme.kv
    if mix := [item for tensor, cells in found.items() for item in _exceptions(tensor, cells, classes[tensor])]:
        result["mix"] = " ".join(mix)
    return wide if result == {"default": wide} else result


Cells = dict[tuple[int, str], tuple[str, int]]  # (layer, matrix) -> dtype, elements


def _matrices(scheme: Scheme, plan: Plan, kind: str, hidden: int, wide: str) -> dict[str, Cells]:
    """Dtype and size of every matrix, by class."""
    found: dict[str, Cells] = {}
    built: dict[str, Block] = {}
    for i, layer in enumerate(plan.layers):
        block = built.get(key := repr(layer.block))
        if block is None:
            block = built[key] = build(Block, layer.block, {}, "config.json")
        for part in block.parts:
            for matrix in part.matrices(hidden):
                ways = naming(kind, matrix.tensor, matrix.name)
                if ways:
                    found.setdefault(matrix.tensor, {})[i, matrix.name] = (scheme.of(i, ways) or wide, matrix.elements)
    return found


def _most(cells: Cells) -> str:
    """The dtype of most elements."""
    counts: Counter[str] = Counter()
    for dtype, elements in cells.values():
        counts[dtype] += elements
    return counts.most_common(1)[0][0]


def _exceptions(tensor: str, cells: Cells, main: str) -> list[str]:
    """Items of a recipe for the matrices and layers of a class that have another dtype."""
    matrices, layers = dict.fromkeys(matrix for _, matrix in cells), sorted({layer for layer, _ in cells})
    uniform = {matrix: _single([dtype for (_, name), (dtype, _) in cells.items() if name == matrix]) for matrix in matrices}
    items = [f"{tensor}.{matrix}={dtype}" for matrix, dtype in uniform.items() if dtype is not None and dtype != main]
    varying = [matrix for matrix, dtype in uniform.items() if dtype is None]
    if len(varying) == len(matrices) and all(_single([cells[layer, m][0] for m in varying if (layer, m) in cells]) for layer in layers):
        selector = "dense" if tensor == "mlp" else tensor
        return [*items, *_runs(selector, {layer: next(cells[layer, m][0] for m in varying if (layer, m) in cells) for layer in layers}, main)]
    for matrix in varying:
        items += _runs(f"{tensor}.{matrix}", {layer: cells[layer, matrix][0] for layer in layers if (layer, matrix) in cells}, main)
    return items


def _single(values: list[str]) -> str | None:
    return values[0] if len(set(values)) == 1 else None


def _runs(selector: str, by_layer: dict[int, str], main: str) -> list[str]:
    """`selector@first-last=dtype` for each run of layers, of those that have the class, with a dtype other than the main one."""
    items: list[str] = []
    run: list[int] = []
    ordered = sorted(by_layer)
    for i, layer in enumerate(ordered):
        run = [*run, layer]
        ends = i + 1 == len(ordered) or by_layer[ordered[i + 1]] != by_layer[layer]
        if ends:
            if by_layer[layer] != main:
                items.append(f"{selector}@{run[0]}-{run[-1]}={by_layer[layer]}")
            run = []
    return items
