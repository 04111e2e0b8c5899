"""Speculative decoding: a deployment with a drafter on the same devices, a smaller model or the model's multi-token-prediction layer.

The drafter uses the tensor and data ranks of its target. Sources: speculative decoding arXiv 2211.17192; multi-token
prediction arXiv 2412.19437, section 2.2.
"""

from roofcalc.deployment.assumptions import is_number
from roofcalc.deployment.deployment import Deployment, Draft, deploy
from roofcalc.deployment.parallelism import Layout, legal_dcp, legal_ep
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Hardware
from roofcalc.specs.feedforward import Dense
from roofcalc.specs.model import Block, Model
from roofcalc.specs.record import replace
from roofcalc.specs.weight_recipes import without_layers
from roofcalc.specs.weights import Matrix

MAX_DRAFTS = 1000
JOIN = "join"  # block name of the projection before a multi-token-prediction layer


def with_drafts(
    deployment: Deployment, tokens: int | None, acceptance: float | None, drafter: Model | None = None, own_layers: bool = False
) -> Deployment:
    """The deployment with speculative decoding; unchanged where none is requested.

    Parameters
    ----------
    tokens : int, optional
        Drafted per step; default: the number of multi-token-prediction heads of the model.
    acceptance : float
        Probability that a draft token is accepted, given that those before it were; there is no default.
    drafter : Model, optional
        A smaller model; without it, and without `own_layers`, drafting is free (n-gram or prompt lookup).
    own_layers : bool
        Draft with the model's multi-token-prediction layer.

    Raises
    ------
    RoofcalcError
        No acceptance rate, a model without multi-token-prediction layers, two drafters, or a pipeline.
    """
    if tokens is None and acceptance is None and drafter is None and not own_layers:
        return deployment
    model = deployment.model
    if own_layers and drafter:
        raise RoofcalcError("--draft-model, --mtp: give one drafter, not both")
    if own_layers and model.mtp is None:
        raise RoofcalcError(f"--mtp: {model.name} has no multi-token-prediction layers")
    if tokens is None and own_layers and model.mtp:
        tokens = model.mtp.heads
    if tokens is None:
        raise RoofcalcError("--draft: give the number of tokens drafted per step too (--draft 4)")
    if not (is_number(tokens) and tokens == int(tokens) and 1 <= tokens <= MAX_DRAFTS):
        raise RoofcalcError(f"--draft: expected 1 to {MAX_DRAFTS} tokens per step, got {tokens}")
    if acceptance is None:
        raise RoofcalcError("--acceptance: there is no default acceptance rate; give it too (--acceptance 0.7)")
    if not (is_number(acceptance) and 0 <= acceptance <= 1):
        raise RoofcalcError(f"--acceptance: expected a rate from 0 to 1, got {acceptance}")
    if deployment.layout.pp > 1:
        raise RoofcalcError(f"--draft: speculative decoding is not modelled with pipeline parallelism (pp {deployment.layout.pp}); give --pp 1")
    drafting = mtp_layer_model(model) if own_layers else drafter
    copies = min(model.mtp.heads, int(tokens)) if own_layers and model.mtp else 1
    return replace(deployment, draft=Draft(int(tokens), float(acceptance), draft_deployment(deployment, drafting) if drafting else None, copies))


def acceptance_of(accepted: float, tokens: int) -> float:
    """The acceptance rate of `tokens` drafted per step at which a step yields `accepted` tokens on average; inverse of `Draft.accepted`.

    Raises
    ------
    RoofcalcError
        Fewer than 1 token per step, or more than the drafted ones and one more.
    """
    if not 1 <= accepted <= tokens + 1:
        raise RoofcalcError(f"accepted: {tokens} drafted tokens yield 1 to {tokens + 1} tokens per step, not {accepted:g}")
    low, high = 0.0, 1.0
    for _ in range(60):  # the expected number grows with the rate
        middle = (low + high) / 2
        low, high = (middle, high) if Draft(tokens, middle).accepted < accepted else (low, middle)
    return (low + high) / 2


def draft_deployment(deployment: Deployment, drafter: Model) -> Deployment:
    """The drafter in the layout of its target; expert and context parallel degrees fall back to defaults where they do not fit it."""
    layout, dtypes = deployment.layout, (deployment.comm, deployment.dispatch, deployment.combine)
    comm, dispatch, combine = (dtype.name if dtype else None for dtype in dtypes)
    return deploy(
        drafter,
        deployment.hardware,
        weights=without_layers(deployment.weights) if isinstance(drafter, MTPLayer) else deployment.weights,
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
