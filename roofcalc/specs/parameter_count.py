"""Counting a model's parameters from its fields: in all, and those that one token uses."""

from typing import NamedTuple

from roofcalc.specs.feedforward import Experts
from roofcalc.specs.model import Block, Model, Published


class Parameters(NamedTuple):
    """Counts of single weights.

    Attributes
    ----------
    total : int
        The language model: embedding (once if tied), layers, norms, biases, head.
    active : int
        What one token's forward pass multiplies by: no input embedding, `top_k` experts.
    embedding : int
        The input embedding's table, part of `total`.
    mtp, excluded : int
        Multi-token-prediction layers, and towers not modelled: in neither of the above.
    """

    total: int
    active: int
    embedding: int
    mtp: int
    excluded: int


def count(model: Model) -> Parameters:
    """Parameters of `model`, from its fields alone."""
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
    """Parameters in all and active, counted as the model's `published` figures count them; a known difference is added."""
    counted, published = count(model), model.published or Published()
    heads = model.head().elements * (model.mtp.heads if model.mtp else 1)
    also = {"mtp": counted.mtp, "towers": counted.excluded, "embedding_copy": counted.embedding, "head_copy": heads}
    known = sum(model.known_difference.params.values()) if model.known_difference else 0
    total = counted.total + sum(also[name] for name in published.includes) + known
    table = counted.embedding if published.active_embedding else 0
    head = 0 if published.active_head else model.head().elements
    return total, counted.active + table - head


def agrees(value: int, published: int, unit: int) -> bool:
    """Whether `value` rounds to the published digits, whose last one counts `unit`s."""
    return abs(value - published) * 2 <= (unit if unit > 1 else 0)


def block_total(model: Model, block: Block) -> int:
    """Parameters of one layer."""
    matrices = sum(matrix.elements for one in block.parts for matrix in one.matrices(model.hidden))
    return matrices + model.block_vectors(block)


def _block_active(model: Model, block: Block) -> int:
    unused = sum(matrix.elements for matrix in block.attention.unused_weights(model.hidden)) if block.attention else 0
    return block_total(model, block) - unused - (block.mlp.idle(model.hidden) if isinstance(block.mlp, Experts) else 0)


def _multi_token(model: Model) -> int:
    """Per head: one layer, a projection of two hidden states to one, two norms before and what follows (DeepSeek-V3's module)."""
    if model.mtp is None:
        return 0
    joined = 2 * model.hidden * model.hidden + 2 * model.hidden + model.outer_vectors() - model.position_table
    return model.mtp.heads * (block_total(model, model.blocks[model.mtp.layers]) + joined)
