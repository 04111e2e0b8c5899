"""Drafts: a deployment with a smaller model, or with its own multi-token-prediction layer, beside it on the same devices.

The drafter shares the tensor and data ranks of its target. Sources: speculative decoding arXiv 2211.17192; multi-token
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
JOIN = "join"  # the projection before a multi-token-prediction layer


def with_drafts(
    deployment: Deployment, tokens: int | None, acceptance: float | None, drafter: Model | None = None, own_layers: bool = False
) -> Deployment:
    """The deployment with drafts; unchanged where none are asked for.

    Parameters
    ----------
    tokens : int, optional
        Drafted per step; by default as many as the model has multi-token-prediction heads.
    acceptance : float
        Probability that one draft is accepted, given that those before it were: never assumed.
    drafter : Model, optional
        A smaller model; without it, and without `own_layers`, drafts cost nothing (looked up in the prompt).
    own_layers : bool
        The model's own multi-token-prediction layer drafts.

    Raises
    ------
    RoofcalcError
        No acceptance, a model without such layers, two drafters, or a pipeline.
    """
    if tokens is None and acceptance is None and drafter is None and not own_layers:
        return deployment
    model = deployment.model
    if own_layers and drafter:
        raise RoofcalcError("draft: either a draft model or --mtp, not both")
    if own_layers and model.mtp is None:
        raise RoofcalcError(f"mtp: {model.name} has no multi-token-prediction layers")
    if tokens is None and own_layers and model.mtp:
        tokens = model.mtp.heads
    if tokens is None:
        raise RoofcalcError("draft: give the tokens drafted per step too (--draft 4)")
    if not (is_number(tokens) and tokens == int(tokens) and 1 <= tokens <= MAX_DRAFTS):
        raise RoofcalcError(f"draft: expected 1 to {MAX_DRAFTS} tokens per step, got {tokens}")
    if acceptance is None:
        raise RoofcalcError("acceptance: the rate at which drafts are accepted is never assumed; give it too (--acceptance 0.7)")
    if not (is_number(acceptance) and 0 <= acceptance <= 1):
        raise RoofcalcError(f"acceptance: expected a rate from 0 to 1, got {acceptance}")
    if deployment.layout.pp > 1:
        raise RoofcalcError(f"draft: speculation is modelled on one stage, not in a pipeline of {deployment.layout.pp}; give --pp 1")
    drafting = _own_layer(model) if own_layers else drafter
    copies = min(model.mtp.heads, int(tokens)) if own_layers and model.mtp else 1
    return replace(deployment, draft=Draft(int(tokens), float(acceptance), beside(deployment, drafting) if drafting else None, copies))


def beside(deployment: Deployment, drafter: Model) -> Deployment:
    """The drafter in its target's layout, as far as it can be divided so: experts and entries too."""
    layout, wires = deployment.layout, (deployment.comm, deployment.dispatch, deployment.combine)
    comm, dispatch, combine = (dtype.name if dtype else None for dtype in wires)
    return deploy(
        drafter,
        deployment.hardware,
        weights=without_layers(deployment.weights) if isinstance(drafter, OwnLayer) else deployment.weights,
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


def moved(deployment: Deployment, hardware: Hardware, layout: Layout) -> Deployment:
    """The same on other devices and in another layout, whatever drafts beside it too."""
    there = deployment.moved(hardware, layout)
    draft = deployment.draft
    return replace(there, draft=replace(draft, deployment=beside(there, draft.deployment.model))) if draft and draft.deployment else there


class OwnLayer(Model):
    """A multi-token-prediction layer as a model that holds no tables: embedding and head are its target's.

    Its projection of two hidden states to one has as many weights as a plain network of the hidden width.
    """

    def embedding(self, tp: int = 1) -> Matrix:
        """Nothing is held."""
        return Matrix("embed", 0, self.hidden, "embed")

    def norm_vectors(self, block: Block) -> int:
        """Two norms before the projection, which is no part of the residual streams."""
        return 2 * self.hidden if block == self.blocks[JOIN] else super().norm_vectors(block)


def _own_layer(model: Model) -> Model:
    assert model.mtp is not None
    name = model.mtp.layers
    blocks = {JOIN: Block(mlp=Dense(model.hidden, plain=True)), name: model.blocks[name]}
    given = {field.name: getattr(model, field.name) for field in model.fields_}
    if model.dtypes.mix:
        given["dtype"] = replace(model.dtypes, mix=" ".join(piece for piece in model.dtypes.mix.split() if "@" not in piece) or None)
    return OwnLayer(
        **{**given, "blocks": blocks, "layers": f"{JOIN} {name}", "tied": True, "mtp": None, "excluded": {}, "extra_embed": None, "positions": 0}
    )
