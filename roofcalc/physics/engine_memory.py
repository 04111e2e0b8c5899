"""What an engine's step needs besides weights and caches, and how the engine lays its caches out.

An engine takes a share of what the runtime reports as the device's memory, loads its weights, runs the largest step that it
will ever run, and fills what is left with cache blocks. The rules and constants of each engine and release are in
`roofcalc.deployment.engines`; here are the formulas. All sizes are bytes on one device.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.engines import GIB, Rules
from roofcalc.deployment.parallelism import Stage
from roofcalc.physics.decode_ops import storage_sharding
from roofcalc.physics.kv_span import Chunk, Full, Span, Top, Window
from roofcalc.physics.kv_storage import Reserved, SharedKV
from roofcalc.physics.ops.registry import parts
from roofcalc.physics.ops.types import NO_SHARING, Cache, Sharding, SharedPrefix
from roofcalc.specs.attention import GQA
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.formula import formula
from roofcalc.specs.latent_attention import MLA, Pooled
from roofcalc.specs.model import Block, Model
from roofcalc.specs.weights import shard_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

ELEMENT = 2.0  # bytes of an activation
LOGIT = 4.0  # bytes of a logit in 32 bits


class Largest(NamedTuple):
    """The largest step that an engine prepares for: tokens, in the shape of the context, and sequences that are sampled."""

    tokens: NDArray[Any]
    seqs: NDArray[Any]


def largest_step(deployment: Deployment, seq: Any) -> Largest:
    """The step that is profiled for sequences of up to `seq` tokens: what was asked for, else the release's default on the device.

    Engines that profile whole prompts take at least S tokens. Sequences that are sampled: min(max_seqs, tokens).
    """
    rules, assumed = _rules(deployment), deployment.assumptions
    default, seq = rules.step(deployment.hardware.device), np.asarray(seq, dtype=float)
    tokens = np.full(seq.shape, float(assumed.max_batched_tokens or default.batched_tokens))
    if rules.whole_prompt and not assumed.max_batched_tokens:
        tokens = np.where(seq <= rules.whole_prompt, np.maximum(seq, tokens), tokens)
    return Largest(tokens, np.minimum(float(assumed.max_seqs or default.seqs), tokens))


def _rules(deployment: Deployment) -> Rules:
    assert deployment.rules is not None, "asked of a deployment without an engine"
    return deployment.rules


@formula("forward = step_tokens·2·(widest + vectors·h)", "sampler = seqs·V·sampler_bytes + step_tokens·2·h")
def activation_bytes(deployment: Deployment, stage: Stage, seq: Any) -> NDArray[Any]:
    """Bytes of activations that the largest step keeps alive at its peak on one device of a stage, in the shape of the context.

    The forward pass and the sampler follow one another: the larger counts. Engines whose share leaves room for them
    outside (SGLang) need none of it here. On a vision model's first stage the encoder's images count where they are larger: half of
    their bytes, `tower_bytes` per parameter, divides over the tensor ranks. The sampler counts on the last stage alone.
    """
    if deployment.rules is None or deployment.rules.outside:
        return np.zeros(np.shape(seq))
    rules, model, layout = deployment.rules, deployment.model, deployment.layout
    tokens, seqs = largest_step(deployment, seq)
    vectors = rules.hidden_vectors + (rules.stage_vectors if layout.pp > 1 else 0.0)
    widest = max(_widest(model.blocks[name], model.hidden, layout.tp, layout.ep) for name, _ in stage.groups)
    forward = tokens * ELEMENT * (widest + vectors * model.hidden)
    if stage.first:
        forward = np.maximum(forward, rules.tower_bytes * model.excluded.get("vision", 0) * (1 + 1 / layout.tp) / 2)
    if not stage.last:
        return np.asarray(forward)
    vocabulary = float(rounded(model.vocab, rules.vocab_to * layout.tp))
    if rules.logits_of_step:
        return np.asarray(forward + tokens * LOGIT * vocabulary)
    return np.maximum(forward, seqs * vocabulary * rules.sampler_bytes + tokens * ELEMENT * model.hidden)


@lru_cache(maxsize=4096)
def _widest(block: Block, hidden: int, tp: int, ep: int) -> float:
    """Elements per token that the widest part of a layer keeps alive at once on one of `tp` ranks.

    Gate, up and their product: 3 widths. Of experts those of k choices, and the permuted copies that go in and come out.
    """
    found = [0.0]
    attention, network = block.attention, block.mlp
    if isinstance(attention, GQA):
        queries = shard_size(attention.heads, tp) * attention.head_dim
        found.append(queries + attention.entry_elements(tp) + shard_size(attention.heads, tp) * attention.value_dim)
    elif isinstance(attention, MLA):
        found.append(shard_size(attention.heads, tp) * (2 * (attention.nope_dim + attention.rope_dim) + 2 * attention.v_dim) + attention.kv_rank)
    if isinstance(network, Dense):
        found.append((2 if network.plain else 3) * shard_size(network.width, tp))
    elif isinstance(network, Experts):
        width = network.width if ep > 1 else shard_size(network.width, tp)
        choices = max(1.0, network.top_k / ep)
        up = width if network.plain else 2 * width
        work = network.latent or hidden
        found.append(choices * (max(up, work) + width) + (2 if network.plain else 3) * shard_size(network.shared, tp))
    return max(found)


def runtime_bytes(deployment: Deployment) -> float:
    """Bytes of context, graphs and, with tensor parallelism, buffers of collectives on one device."""
    rules = deployment.rules
    if rules is None:
        return 0.0
    hardware, gib = deployment.hardware, rules.runtime_gib
    if hardware.device.memory.shared_with_host:
        gib += rules.unified_gib
    if deployment.layout.tp > 1:
        gib += rules.switch_gib if hardware.link is not None and hardware.link.reduce else rules.group_gib
    return gib * GIB


def padding_bytes(deployment: Deployment, stage: Stage) -> float:
    """Bytes that an engine's weights take on one device of a stage beyond those of the checkpoint's share.

    MXFP4 experts' widths per rank and hidden sizes are rounded up, the vocabulary to a multiple per rank; sines and cosines
    of every position are kept in 16 bits.
    """
    rules, model, layout = deployment.rules, deployment.model, deployment.layout
    if rules is None:
        return 0.0
    total = 0.0
    for name, layers in stage.groups:
        network = model.blocks[name].mlp
        stored = deployment.weight_dtype("experts")
        if isinstance(network, Experts) and stored.name == "mxfp4":
            total += layers * _mxfp4_padding(network, model.hidden, storage_sharding(deployment), rules) * stored.bytes_per_element
    rows = rounded(model.vocab, rules.vocab_to * layout.tp) // layout.tp - shard_size(model.vocab, layout.tp)
    if stage.first and model.embedding().elements:
        total += rows * model.hidden * deployment.weight_dtype("embed").bytes_per_element
    if stage.last and not (model.tied and stage.first):
        total += rows * model.hidden * deployment.weight_dtype("head").bytes_per_element
    return total + _copied_bytes(deployment, stage, rules) + (_rotary_bytes(model) if rules.rotary_table else 0.0)


def _copied_bytes(deployment: Deployment, stage: Stage, rules: Rules) -> float:
    """Bytes of weights that an engine keeps a second time, or whole where the layout divides them."""
    model, layout, total = deployment.model, deployment.layout, 0.0
    for name, layers in stage.groups:
        block = model.blocks[name]
        if rules.absorbed and isinstance(block.attention, MLA):
            up = block.attention
            total += layers * ELEMENT * up.kv_rank * shard_size(up.heads, layout.tp) * (up.nope_dim + up.v_dim)
        if rules.whole_with_dp and layout.dp > 1 and block.mlp is not None:
            network = block.mlp
            width, tensor = (network.width, "mlp") if isinstance(network, Dense) else (network.shared, "shared")
            matrices = 2 if network.plain else 3
            more = matrices * model.hidden * (width - shard_size(width, layout.tp))
            total += layers * more * deployment.weight_dtype(tensor).bytes_per_element
    if rules.whole_with_dp and layout.dp > 1 and stage.last:
        total += (model.vocab - shard_size(model.vocab, layout.tp)) * model.hidden * deployment.weight_dtype("head").bytes_per_element
    return total


def _mxfp4_padding(network: Experts, hidden: int, sharding: Sharding, rules: Rules) -> float:
    """Elements of one layer's experts on one device that are only padding."""
    copies = network.experts + sharding.redundant
    whole = sharding.ep > 1
    held, shares = (-(-copies // sharding.ep), 1) if whole else (copies, sharding.group)
    width = rounded(shard_size(network.width, shares), rules.mxfp4_width_to)
    matrices = 2 if network.plain else 3
    real = matrices * network.width / shares * (network.latent or hidden)
    return float(held * (matrices * width * rounded(network.latent or hidden, rules.mxfp4_hidden_to) - real))


def _rotary_bytes(model: Model) -> float:
    """A table of sines and cosines: one number per position and rotary dimension, in 16 bits."""
    attentions = [model.blocks[name].attention for name in model.groups]
    widths = [one.head_dim if isinstance(one, GQA) else one.rope_dim for one in attentions if isinstance(one, (GQA, MLA, Pooled))]
    return ELEMENT * model.context * max(widths, default=0)


def rounded(size: float, to: int) -> int:
    """The next multiple of `to`."""
    return math.ceil(size / to) * to


class Kind(NamedTuple):
    """Layers whose caches are laid out alike: a context's entries, a window's, or one state.

    Attributes
    ----------
    entry_bytes : float
        Of one token's entry in one layer; of a state all of it.
    window : float
        inf: the whole context; 0: a state.
    """

    entry_bytes: float
    window: float


class Page(NamedTuple):
    """A pool of equal pages that groups of layers share.

    Attributes
    ----------
    size : float
        Bytes of a page in one layer.
    layers : int
        Layers of a group: each of a group's pages is `layers` × `size` bytes.
    groups : tuple of (groups, Kind, tokens per page)
    """

    size: float
    layers: int
    groups: tuple[tuple[int, Kind, float], ...]

    @property
    def bytes(self) -> float:
        return self.size * self.layers

    @property
    def all_groups(self) -> int:
        """Groups in all."""
        return sum(groups for groups, _, _ in self.groups)

    @property
    def block(self) -> float:
        """Tokens in a page, the fewest among the groups that hold tokens."""
        return min((tokens for _, kind, tokens in self.groups if kind.window), default=1.0)


def grouped_pages(deployment: Deployment, stage: Stage) -> Page | None:
    """The pages of a stage where its engine groups layers and its rules for caches hold, else None."""
    rules = deployment.rules
    if rules is None or rules.windows != "grouped" or deployment.assumptions.kv_policy != "engine":
        return None
    return _pages(deployment, stage)


@lru_cache(maxsize=4096)
def _pages(deployment: Deployment, stage: Stage) -> Page | None:
    """How an engine with grouped layers lays out a stage's caches; None where all layers are of one kind, or some of no such kind.

    All pages have one size: that of the widest entry × block, or of a recurrent state, for which the block is made long
    enough. A group has as many layers as the rarest kind (as the commonest where their counts differ by little); kinds
    that it does not divide are padded.
    """
    rules = _rules(deployment)
    counted: dict[Kind, int] = {}
    for one, groups, copies in _with_drafters(deployment, stage):
        for name, layers in groups:
            for kind in _kinds(one, name):
                if kind is None:
                    return None
                counted[kind] = counted.get(kind, 0) + layers * copies
    if len(counted) < 2 or not any(kind.window for kind in counted):
        return None
    entries = [kind.entry_bytes for kind in counted if kind.window]
    states = [kind.entry_bytes for kind in counted if not kind.window]
    widest = max(entries)
    block = float(rules.block)
    if states:
        block = max(block, float(rounded(max(states) / widest, rules.block)))
    size = block * widest
    fewest, most = min(counted.values()), max(counted.values())
    layers = most if most < fewest * rules.group_slack else fewest
    laid = tuple((math.ceil(count / layers), kind, size / kind.entry_bytes if kind.window else 1.0) for kind, count in counted.items())
    return Page(size, layers, laid)


def _with_drafters(deployment: Deployment, stage: Stage) -> Iterator[tuple[Deployment, tuple[tuple[str, int], ...], int]]:
    yield deployment, stage.groups, 1
    draft = deployment.draft
    if draft and draft.deployment:
        yield draft.deployment, draft.deployment.stages[0].groups, draft.copies


def _kinds(deployment: Deployment, name: str) -> Iterator[Kind | None]:
    """The kinds of cache that one layer of a block keeps; None for one that pages do not describe."""
    model = deployment.model
    for one in parts(model.blocks[name], model.hidden, storage_sharding(deployment)):
        if one.recurrence is not None:
            yield Kind(one.fixed_bytes + one.recurrence.elements * one.recurrence.bytes_per_element, 0.0)
        for cache in one.caches:
            window = _window(cache, _rules(deployment))
            if window != 0.0:
                yield Kind(cache.entry_bytes, window) if window is not None else None


def _window(cache: Cache, rules: Rules) -> float | None:
    """Tokens of a cache's window: inf for all, 0 where nothing is kept, None for entries that are not single tokens."""
    span: Span = cache.span
    if isinstance(span, SharedKV):
        return 0.0
    if isinstance(span, Window):
        return span.size
    if isinstance(span, Chunk):
        return math.inf if rules.chunks_whole else float(span.size)
    if isinstance(span, (Full, Reserved)) or (isinstance(span, Top) and isinstance(span.among, Full)):
        return math.inf
    return None


@formula("whole context = ceil(S/block)", "window = ceil(min(W − 1 + step_tokens, S)/block) + 1", "state = states + drafts")
def blocks(deployment: Deployment, page: Page, seq: Any, shared_prefix: SharedPrefix = NO_SHARING) -> NDArray[Any]:
    """Pages of all groups that one sequence of `seq` tokens takes, or several streams of one query together."""
    seq = np.asarray(seq, dtype=float)
    step = largest_step(deployment, seq).tokens
    total = np.zeros(seq.shape)
    for groups, kind, tokens in page.groups:
        if kind.window == 0.0:
            total = total + groups * shared_prefix.count * states_per_sequence(deployment)
        elif math.isinf(kind.window):
            shared = (shared_prefix.count - 1) * np.floor(shared_prefix.prefix / tokens) if shared_prefix.count > 1 else 0.0
            total = total + groups * (shared_prefix.count * np.ceil(seq / tokens) - shared)
        else:
            total = total + groups * shared_prefix.count * (np.ceil(np.minimum(kind.window - 1 + step, seq) / tokens) + 1)
    return total


def states_per_sequence(deployment: Deployment) -> float:
    """Recurrent states that a sequence keeps: one (or as many as the engine), and one more for each draft, to go back to."""
    kept = deployment.rules.states if deployment.rules is not None and deployment.assumptions.kv_policy == "engine" else 1
    return float(kept) + (deployment.draft.tokens if deployment.draft else 0)


def entries_stored(deployment: Deployment, span: Span, seq: Any, shared_prefix: SharedPrefix) -> NDArray[Any]:
    """Entries that a sequence of `seq` tokens (whole blocks of them) keeps of a span, by the engine's rule for windows."""
    rules = deployment.rules
    if rules is None or deployment.assumptions.kv_policy != "engine" or isinstance(span, (SharedKV, Reserved)):
        return np.asarray(shared_prefix.of(span).entries_stored(seq))
    whole = isinstance(span, Chunk) and rules.chunks_whole
    if not isinstance(span, (Window, Chunk)) or (rules.windows in ("window", "grouped") and not whole):
        return np.asarray(shared_prefix.of(span).entries_stored(seq))
    if whole or rules.windows == "whole":
        return np.asarray(shared_prefix.of(Reserved(span)).entries_stored(seq))
    if rules.windows == "share":
        return np.asarray(shared_prefix.count * np.maximum(np.minimum(seq, span.size), rules.window_share * np.asarray(seq)))
    step = largest_step(deployment, seq).tokens
    return np.asarray(shared_prefix.count * np.minimum(seq, np.ceil((span.size + step) / rules.window_to) * rules.window_to))
