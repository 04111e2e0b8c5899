"""Parameter counts of a model from its fields: total, and active per token."""

from typing import NamedTuple

from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Block, Model, Published


class Parameters(NamedTuple):
    """Parameter counts.

    Attributes
    ----------
    total : int
        The language model: embedding (once if tied), layers, norms, biases, LM head.
    active : int
        Parameters used in the forward pass of one token: without the input embedding, with `top_k` experts.
    embedding : int
        The input embedding, included in `total`.
    mtp, excluded : int
        Multi-token-prediction layers, and encoders that are not modelled; in neither `total` nor `active`.
    """

    total: int
    active: int
    embedding: int
    mtp: int
    excluded: int


def count(model: Model) -> Parameters:
    """Parameters of `model` from its shapes."""
    embedding = model.embedding().elements
    head = 0 if model.tied else model.head().elements
    extra = model.extra_embed.rows * model.extra_embed.dim if model.extra_embed else 0
    total = embedding + head + extra + model.outer_vectors()
    active = model.head().elements + model.outer_vectors() - model.position_table
    for name, layers in model.groups.items():
        block = model.blocks[name]
        total += block.stored(layers) * block_total(model, block)
        active += layers * _block_active(model, block)
    return Parameters(total, active, embedding, _multi_token(model), sum(model.excluded.values()))


def as_published(model: Model) -> tuple[int, int]:
    """Total and active parameters by the definition of the model's `published` figures, a known difference included."""
    counted, published = count(model), model.published or Published()
    heads = model.head().elements * (model.mtp.heads if model.mtp else 1)
    also = {"mtp": counted.mtp, "towers": counted.excluded, "embedding_copy": counted.embedding, "head_copy": heads}
    known = sum(model.known_difference.params.values()) if model.known_difference else 0
    total = counted.total + sum(also[name] for name in published.includes) + known
    table = counted.embedding if published.active_embedding else 0
    head = 0 if published.active_head else model.head().elements
    return total, counted.active + table - head


def agrees(value: int, published: int, unit: int) -> bool:
    """Whether `value` equals the published figure to its last digit, which counts `unit`s; exactly for a unit of 1."""
    return abs(value - published) * 2 <= (unit if unit > 1 else 0)


def block_total(model: Model, block: Block) -> int:
    """Parameters of one layer."""
    matrices = sum(matrix.elements for one in block.parts for matrix in one.matrices(model.hidden))
    return matrices + model.block_vectors(block)


def _block_active(model: Model, block: Block) -> int:
    unused = sum(matrix.elements for matrix in block.attention.unused_weights(model.hidden)) if block.attention else 0
    return block_total(model, block) - unused - (block.mlp.inactive_params(model.hidden) if isinstance(block.mlp, Experts) else 0)


def _multi_token(model: Model) -> int:
    """Parameters of the MTP modules as in DeepSeek-V3: a layer, a 2h × h projection with two norms, and the vectors outside layers."""
    if model.mtp is None:
        return 0
    joined = 2 * model.hidden * model.hidden + 2 * model.hidden + model.outer_vectors() - model.position_table
    return model.mtp.heads * (block_total(model, model.blocks[model.mtp.layers]) + joined)
