"""Speculative decoding: a deployment with a drafter on the same devices.

A smaller model, the model's multi-token-prediction layer, an EAGLE head, or a lookup that takes no time. The drafter uses the tensor
and data ranks of its target. Sources: speculative decoding arXiv 2211.17192; multi-token prediction arXiv 2412.19437, section 2.2; EAGLE
arXiv 2401.15077, section 4.1.
"""

from roofcalc.deployment.assumptions import is_number
from roofcalc.deployment.deployment import Deployment, Draft, deploy
from roofcalc.deployment.parallelism import Layout, legal_dcp, legal_ep
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.specs.attention import GQA
from roofcalc.specs.device import Hardware
from roofcalc.specs.feedforward import Dense, Experts
from roofcalc.specs.model import Block, Dtypes, Model
from roofcalc.specs.record import replace
from roofcalc.specs.stored_weights import sixteen_bit
from roofcalc.specs.weight_recipes import NATIVE, without_layers
from roofcalc.specs.weights import Matrix

MAX_DRAFTS = 1000
JOIN = "join"  # block name of the projection before a multi-token-prediction layer or an EAGLE layer
EAGLE = "eagle"
DRAFTERS = ("eagle", "ngram")


def with_drafts(
    deployment: Deployment,
    tokens: int | None,
    acceptance: float | None,
    drafter: Model | None = None,
    own_layers: bool = False,
    accepted: float | None = None,
    kind: str | None = None,
) -> Deployment:
    """The deployment with speculative decoding; unchanged where none is requested.

    Parameters
    ----------
    tokens : int, optional
        Drafted per step; default: the number of multi-token-prediction heads of the model.
    acceptance : float
        Probability that a draft token is accepted, given that those before it were; there is no default.
    drafter : Model, optional
        A smaller model.
    own_layers : bool
        Draft with the model's multi-token-prediction layer.
    accepted : float, optional
        Instead of `acceptance`: mean tokens accepted per step, the target's own included.
    kind : "eagle" or "ngram", optional
        An EAGLE head of the target's shapes, or n-gram lookup, which takes no time. Without any drafter drafting is free too.

    Raises
    ------
    RoofcalcError
        No acceptance rate, a model without multi-token-prediction layers, two drafters, or a pipeline.
    """
    if tokens is None and acceptance is None and accepted is None and drafter is None and kind is None and not own_layers:
        return deployment
    model = deployment.model
    given = [name for name, one in (("--draft-model", drafter), ("--mtp", own_layers), ("--drafter", kind)) if one]
    if len(given) > 1:
        raise RoofcalcError(f"{', '.join(given)}: give one drafter, not both")
    if kind is not None and kind not in DRAFTERS:
        raise invalid_choice("--drafter", kind, DRAFTERS)
    if own_layers and model.mtp is None:
        raise RoofcalcError(f"--mtp: {model.name} has no multi-token-prediction layers")
    if tokens is None and own_layers and model.mtp:
        tokens = model.mtp.heads
    if tokens is None:
        raise RoofcalcError("--draft: give the number of tokens drafted per step too (--draft 4)")
    if not (is_number(tokens) and tokens == int(tokens) and 1 <= tokens <= MAX_DRAFTS):
        raise RoofcalcError(f"--draft: expected 1 to {MAX_DRAFTS} tokens per step, got {tokens}")
    if accepted is not None:
        acceptance = _acceptance(accepted, int(tokens), acceptance)
    if acceptance is None:
        raise RoofcalcError("--acceptance: there is no default acceptance rate; give it too (--acceptance 0.7), or --accepted")
    if not (is_number(acceptance) and 0 <= acceptance <= 1):
        raise RoofcalcError(f"--acceptance: expected a rate from 0 to 1, got {acceptance}")
    if deployment.layout.pp > 1:
        raise RoofcalcError(f"--draft: speculative decoding is not modelled with pipeline parallelism (pp {deployment.layout.pp}); give --pp 1")
    drafting = mtp_layer_model(model) if own_layers else eagle_model(deployment) if kind == "eagle" else drafter
    copies = min(model.mtp.heads, int(tokens)) if own_layers and model.mtp else 1
    placed = draft_deployment(deployment, drafting) if drafting else None
    name = kind or ("mtp" if own_layers else "model" if drafter else "free")
    return replace(deployment, draft=Draft(int(tokens), float(acceptance), placed, copies, name))


def _acceptance(accepted: float, tokens: int, acceptance: float | None) -> float:
    """The probability that gives a mean accepted length.

    Raises
    ------
    RoofcalcError
        A length that `tokens` drafts cannot have, or a probability besides.
    """
    if acceptance is not None:
        raise RoofcalcError("--acceptance, --accepted: give one of them; the other follows from it")
    if not (is_number(accepted) and 1 <= accepted <= tokens + 1):
        raise RoofcalcError(f"--accepted: expected 1 to {tokens + 1} tokens per step (the target's own and up to {tokens} drafts), got {accepted}")
    return acceptance_of(float(accepted), tokens)


def acceptance_of(accepted: float, tokens: int) -> float:
    """The probability that a draft token is accepted at which a step with `tokens` drafts yields `accepted` tokens on average.

    The inverse of `Draft.accepted`, which is a sum of powers of the probability and grows with it, by bisection.

    Raises
    ------
    RoofcalcError
        Fewer than 1 token per step, or more than the drafted ones and one more.
    """
    if not 1 <= accepted <= tokens + 1:
        raise RoofcalcError(f"accepted: {tokens} drafted tokens yield 1 to {tokens + 1} tokens per step, not {accepted:g}")
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if Draft(tokens, middle).accepted <= accepted else (low, middle)
    return high if Draft(tokens, high).accepted <= accepted else low


def draft_deployment(deployment: Deployment, drafter: Model) -> Deployment:
    """The drafter in the layout of its target; expert and context parallel degrees fall back to defaults where they do not fit it."""
    layout, dtypes = deployment.layout, (deployment.comm, deployment.dispatch, deployment.combine)
    comm, dispatch, combine = (dtype.name if dtype else None for dtype in dtypes)
    return deploy(
        drafter,
        deployment.hardware,
        weights=drafter_weights(drafter, deployment.weights),
        kv=deployment.kv.name,
        compute=deployment.compute,
        comm=comm,
        dispatch=dispatch,
        combine=combine,
        tp=layout.tp,
        pp=1,
        dp=layout.dp,
        ep=layout.ep if layout.ep in legal_ep(drafter, layout.tp, layout.dp) else None,
        dcp=layout.dcp if layout.dcp in legal_dcp(drafter, layout.tp) else None,
        assumptions=deployment.assumptions,
    )


def drafter_weights(drafter: Model, weights: str) -> str:
    """The recipe of a drafter's weights next to a target with the recipe `weights`; published EAGLE heads stay in 16 bits."""
    if isinstance(drafter, EagleHead):
        return NATIVE
    return without_layers(weights) if isinstance(drafter, MTPLayer) else weights


def with_layout(deployment: Deployment, hardware: Hardware, layout: Layout) -> Deployment:
    """The deployment on other hardware in another layout, its drafter included."""
    placed = replace(deployment, hardware=hardware, layout=layout)
    draft = deployment.draft
    if draft is None or draft.deployment is None:
        return placed
    return replace(placed, draft=replace(draft, deployment=draft_deployment(placed, draft.deployment.model)))


class MTPLayer(Model):
    """A multi-token-prediction layer as a model of its own, without embedding: embedding and head are those of its target.

    Its projection of two hidden states to one has as many weights as an ungated feed-forward part of the hidden width.
    """

    def embedding(self, tp: int = 1) -> Matrix:
        """No weights: the table of the target is used."""
        return Matrix("embed", 0, self.hidden, "embed")

    def norm_vectors(self, block: Block) -> int:
        """Two norms before the projection, which lies outside the residual stream."""
        return 2 * self.hidden if block == self.blocks[JOIN] else super().norm_vectors(block)


def mtp_layer_model(model: Model) -> Model:
    assert model.mtp is not None
    name = model.mtp.layers
    blocks = {JOIN: Block(mlp=Dense(model.hidden, plain=True)), name: model.blocks[name]}
    given = {field.name: getattr(model, field.name) for field in model.fields_}
    if model.dtypes.mix:
        given["dtype"] = replace(model.dtypes, mix=" ".join(piece for piece in model.dtypes.mix.split() if "@" not in piece) or None)
    return MTPLayer(
        **{**given, "blocks": blocks, "layers": f"{JOIN} {name}", "tied": True, "mtp": None, "excluded": {}, "extra_embed": None, "positions": 0}
    )


class EagleHead(MTPLayer):
    """An EAGLE head as a model of its own: a projection of 2·h to h and one layer; embedding and LM head are the target's."""

    def norm_vectors(self, block: Block) -> int:
        """None before the projection."""
        return 0 if block == self.blocks[JOIN] else Model.norm_vectors(self, block)


def eagle_model(deployment: Deployment) -> EagleHead:
    """An EAGLE head with the shapes of one layer of the target, in 16 bits; the target's head is in its own dtype.

    EAGLE (arXiv 2401.15077): the embedding of a token and the target's hidden state before it are concatenated, projected from 2·h to
    h, and pass one decoder layer and the target's LM head; for Llama 3 8B it has the widths of a layer of the target
    (github.com/SafeAILab/EAGLE, eagle/train/EAGLE-LLaMA3-Instruct-8B.json). Beside experts the layer is dense and as wide as the experts
    of one token, as published for Qwen3-30B-A3B (github.com/sgl-project/SpecForge, configs/qwen3-30B-eagle3.json: 6,144 = 8·768).

    Raises
    ------
    RoofcalcError
        A target without attention.
    """
    model = deployment.model
    blocks = [model.blocks[name] for name, _ in reversed(model.runs) if model.blocks[name].attention is not None]
    if not blocks:
        raise RoofcalcError(f"--drafter: {model.name} has no attention layer to take an EAGLE head's shapes from; give --draft-model")
    attention = min((block.attention for block in blocks), key=lambda one: isinstance(one, GQA) and (one.kv == "shared" or one.inputs > 1))
    if isinstance(attention, GQA):
        attention = replace(attention, window=None, chunk=None, blocks=None, kv="own", kv_proj=True, inputs=1)
    networks = [model.blocks[name].mlp for name, _ in reversed(model.runs)]
    network = next((one for one in networks if one is not None), Dense(4 * model.hidden, plain=True))
    if isinstance(network, Experts):
        network = Dense(network.top_k * network.width + network.shared, plain=network.plain)
    sixteen = sixteen_bit(model.dtypes)
    own = Dtypes(sixteen, head=deployment.weight_dtype("head").name)
    given = {field.name: getattr(model, field.name) for field in model.fields_}
    given |= {"blocks": {JOIN: Block(mlp=Dense(model.hidden, plain=True)), EAGLE: Block(attention=attention, mlp=network)}, "dtype": own}
    given |= {"layers": f"{JOIN} {EAGLE}", "tied": True, "mtp": None, "excluded": {}, "extra_embed": None, "positions": 0, "embed_norm": False}
    return EagleHead(**{**given, "hyper_connections": None, "altup": None, "name": f"{model.name} EAGLE head"})
