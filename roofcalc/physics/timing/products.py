"""Seconds of GEMMs and fused experts in `typical`; all GEMMs of a step are stacked along a first axis and evaluated at once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics.kernels.experts import ExpertParameters, experts_s
from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.gemm import GemmParameters, gemm_s
from roofcalc.physics.kernels.routing import RoutedLoad, uniform_load
from roofcalc.physics.kv_span import Array
from roofcalc.physics.ops.ffn import expected_active_experts, expected_experts_read, expert_gemms
from roofcalc.physics.ops.types import ACTIVATION_BYTES, Routed, Sharding
from roofcalc.physics.resources import Terms
from roofcalc.physics.timing.charge import charge, launches, run_constants
from roofcalc.physics.timing.devices import Chosen, activation_bytes, chosen, is_unpacked, kernel_peak, table_format
from roofcalc.specs.record import kept, replace
from roofcalc.specs.routing import Routing

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW = 2048  # token counts up to which no duplicates are looked for


class Key(NamedTuple):
    """A matrix of rows × cols weights of a tensor class, `copies` of them multiplied at once, in a GEMM of `fused` columns if not 0."""

    rows: int
    cols: int
    copies: int
    tensor: str
    fused: int = 0


class Stack(NamedTuple):
    """GEMMs of one kind along a first axis: arguments of `gemm_s` without launch floors, the floors, and the rooflines.

    Attributes
    ----------
    members : array
        Places of these GEMMs among the keys asked for.
    n, cols : array
        Columns of the GEMM that runs, and those of the matrix asked for, which takes its share of the GEMM's time.
    beside : array
        Whether another kernel runs at the same time: shared experts beside routed ones.
    factors : tuple of str
        Constants of whole runs that multiply their times, where the memory and where compute limits.
    """

    members: NDArray[Any]
    factors: tuple[str, str]
    parameters: dict[str, NDArray[Any]]
    facts: DeviceFacts
    n: NDArray[Any]
    cols: NDArray[Any]
    k: NDArray[Any]
    copies: NDArray[Any]
    weight_bytes: NDArray[Any]
    activation_bytes: NDArray[Any]
    launch_s: NDArray[Any]
    beside: NDArray[Any]
    peak_flop_s: NDArray[Any]


@kept
def gemm_constants(deployment: Deployment, tensor: str) -> tuple[Chosen, str]:
    """Constants of the GEMMs with a class of weights, and their format in the kernel tables."""
    device = deployment.hardware.device
    computed = deployment.linear_format(tensor) or "bf16"
    form = table_format(device, deployment.weight_dtype(tensor), computed)
    return chosen(deployment, GemmParameters, "gemm", form, peak=kernel_peak(device, form, computed)), form


def runs_beside(deployment: Deployment, tensor: str) -> bool:
    """Whether GEMMs with a class of weights run at the same time as other kernels, on a stream of their own: shared experts."""
    return tensor == "shared" and deployment.profile is not None and deployment.profile.second_stream


@lru_cache(maxsize=512)
def stacks(deployment: Deployment, keys: tuple[Key, ...]) -> tuple[Stack, ...]:
    """The GEMMs by these matrices: those whose weights are dequantised first, those in int8 with scales per block, and the others."""
    each = [gemm_constants(deployment, key.tensor) for key in keys]
    kinds = [_factors(form, deployment.linear_format(key.tensor)) for key, (_, form) in zip(keys, each, strict=True)]
    found = []
    for kind in dict.fromkeys(kinds):
        members = [place for place, its in enumerate(kinds) if its == kind]
        found.append(_stack(deployment, [keys[place] for place in members], [each[place] for place in members], members, kind))
    return tuple(found)


def _factors(form: str, computed: str | None) -> tuple[str, str]:
    if not is_unpacked(form):
        return "gemm", "gemm_compute"
    return "dequantised", "mmq_compute" if computed == "int8" else "dequantised_compute"


def _stack(deployment: Deployment, keys: list[Key], each: list[tuple[Chosen, str]], members: list[int], factors: tuple[str, str]) -> Stack:
    facts = each[0][0].facts
    names = list(vars(each[0][0].parameters))
    parameters = {name: np.array([getattr(one.parameters, name) for one, _ in each]) for name in names}
    launch = parameters.pop("t0_us") * 1e-6
    peaks = [deployment.flop_per_s(deployment.linear_format(key.tensor)) or np.inf for key in keys]
    cols, rows, copies = (np.array(one, dtype=float) for one in zip(*((key.cols, key.rows, key.copies) for key in keys), strict=True))
    return Stack(
        members=np.array(members),
        factors=factors,
        parameters=parameters,
        facts=DeviceFacts(np.array([one.facts.peak_flop_s for one, _ in each]), facts.bandwidth_bytes_s, facts.compute_units, facts.clock_hz),
        n=np.array([key.fused or key.cols for key in keys], dtype=float),
        cols=cols,
        beside=np.array([runs_beside(deployment, key.tensor) for key in keys]),
        k=rows,
        copies=copies,
        weight_bytes=np.array([deployment.weight_dtype(key.tensor).bytes_per_element for key in keys]),
        activation_bytes=np.array([activation_bytes(form) for _, form in each]),
        launch_s=launch,
        peak_flop_s=np.array(peaks),
    )


def gemm_terms(deployment: Deployment, keys: tuple[Key, ...], layers: NDArray[Any], tokens: Any, each: bool = False) -> Terms:
    """Seconds by resource of GEMMs, each in so many layers.

    Parameters
    ----------
    tokens : array
        Rows of the input, the same for all GEMMs; with `each` the first axis holds those of each GEMM.
    """
    tokens = np.asarray(tokens, dtype=float)
    if not each and tokens.size > FEW:
        few, place = np.unique(tokens, return_inverse=True)
        if few.size < tokens.size:
            place = place.reshape(tokens.shape)
            return {name: np.asarray(value)[..., place] for name, value in gemm_terms(deployment, keys, layers, few).items()}
    terms: Terms = {}
    run = run_constants(deployment)
    for one in stacks(deployment, keys):
        rows = tokens[one.members] if each else tokens[np.newaxis]
        shape = (-1, *([1] * (rows.ndim - 1)))

        def along(values: NDArray[Any], shape: tuple[int, ...] = shape) -> NDArray[Any]:
            return values.reshape(shape)

        parameters = GemmParameters(t0_us=0.0, **{name: along(value) for name, value in one.parameters.items()})  # type: ignore[arg-type]
        facts = DeviceFacts(along(np.asarray(one.facts.peak_flop_s)), one.facts.bandwidth_bytes_s, one.facts.compute_units, one.facts.clock_hz)
        n, k, count, width, times = (along(value) for value in (one.cols, one.k, one.copies, one.weight_bytes, layers[one.members]))
        share = np.where(one.beside, 0.0, one.cols / one.n)
        busy = gemm_s(parameters, facts, rows, along(one.n), k, width, along(one.activation_bytes), count) * along(share)
        io = (n + k) * count * ACTIVATION_BYTES if deployment.assumptions.activations else 0.0
        some = np.minimum(rows, 1.0)  # no rows: no kernel
        compute, memory = (
            2.0 * rows * n * k * count / along(one.peak_flop_s),
            (n * k * count * width * some + rows * io) / deployment.memory_bytes_per_s,
        )
        at_memory, at_compute = (getattr(run, name) for name in one.factors)
        charge(terms, deployment, (at_memory, at_compute), busy * some, compute, memory, times, stacked=True)
        launches(terms, deployment, (along(one.launch_s * share) * times * some).sum(axis=0))
    return terms


@kept
def expert_constants(deployment: Deployment, tensor: str) -> tuple[Chosen, str]:
    """Constants of the fused experts, and their format in the kernel tables."""
    device = deployment.hardware.device
    computed = deployment.linear_format(tensor) or "bf16"
    form = table_format(device, deployment.weight_dtype(tensor), computed)
    if form == "fp8":
        form = "fp8_block"  # engines run experts with one scale per tensor by these; those timed as fp8 are ModelOpt's and ungated ones
    return chosen(deployment, ExpertParameters, "experts", form, peak=kernel_peak(device, form, computed)), form


def expert_load(routed: Routed, sharding: Sharding, tokens: Any) -> RoutedLoad:
    """What the experts of one device receive of the tokens of their group: of the fullest rank, for which all others wait.

    Experts that compute nothing take their share of the choices.
    """
    top_k = routed.top_k * routed.experts / routed.routed
    load = uniform_load(tokens, top_k, routed.experts, sharding.ep)  # type: ignore[arg-type]
    if routed.routing.is_skewed or routed.routing.shares:
        hit = np.asarray(expected_active_experts(routed, tokens)) / sharding.ep
        share = hit / np.maximum(load.experts_hit, 1e-300)
        load = RoutedLoad(hit, load.assignments, load.routed, tuple(np.maximum(rows * share, load.assignments) for rows in load.rows))
    if sharding.ep == 1:
        return load
    held = routed.experts / sharding.ep
    hit, pairs = load.experts_hit, load.assignments
    beyond = 0.0 if routed.routing.is_skewed else fullest(sharding.ep)  # skewed: copies of the chosen experts are where the tokens are
    hit = np.minimum(hit + beyond * np.sqrt(np.maximum(hit * (1.0 - hit / held), 0.0)), held) * sharding.imbalance
    pairs = (pairs + beyond * np.sqrt(pairs * (1.0 - 1.0 / sharding.ep))) * sharding.imbalance
    more = np.maximum(pairs / np.maximum(load.assignments, 1e-300), hit / np.maximum(load.experts_hit, 1e-300))
    routed_pairs = pairs if sharding.group > sharding.tp else load.routed  # tokens that come by dispatch bring no other ranks' pairs
    return RoutedLoad(np.minimum(hit, held), pairs, np.maximum(routed_pairs, pairs), tuple(rows * more for rows in load.rows))


@lru_cache(maxsize=64)
def fullest(ranks: int) -> float:
    """Standard deviations by which the fullest of so many ranks exceeds the mean, on average: the largest of as many normal numbers.

    All ranks of a layer wait for it. Source: G. Blom's approximation of expected order statistics, Φ⁻¹((n − 3/8)/(n + 1/4)).
    """
    from statistics import NormalDist

    return NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25)) if ranks > 1 else 0.0


def expert_terms(deployment: Deployment, routed: Routed, sharding: Sharding, layers: int, tokens: Any, share: float = 1.0) -> Terms:
    """Seconds by resource of the fused experts of one device, for the tokens of their whole group; `share` of them for one matrix."""
    tokens = np.asarray(tokens, dtype=float)
    if tokens.size > FEW:
        few, place = np.unique(tokens, return_inverse=True)
        if few.size < tokens.size:
            place = place.reshape(tokens.shape)
            found = expert_terms(deployment, routed, sharding, layers, few, share)
            return {name: np.asarray(value)[..., place] for name, value in found.items()}
    up, *others = routed.matrices
    constants, form = expert_constants(deployment, up.tensor)
    device_share = 1.0 if sharding.ep > 1 else 1.0 / sharding.group
    inter = others[-1].rows if others else up.cols
    load = expert_load(routed, sharding, tokens)
    width = deployment.weight_dtype(up.tensor).bytes_per_element
    parameters = constants.parameters
    launch = parameters.t0_us * 1e-6
    busy = (
        experts_s(
            parameters,
            constants.facts,
            load,
            up.rows,
            max(1.0, np.ceil(inter * device_share)),
            width,
            activation_bytes(form),
            gated=up.cols >= 2 * inter,
        )
        - launch
    )
    gemms = expert_gemms(routed, layers, sharding, 1.0, lambda _: width, deployment.assumptions.activations)
    compute = sum(one.flops for one in gemms) * tokens / (deployment.flop_per_s(deployment.linear_format(up.tensor)) or np.inf)

    def memory_s(read: Array) -> NDArray[Any]:
        moved = sum(one.weights for one in gemms) * read + sum(one.activation_bytes for one in gemms) * tokens
        return np.asarray(moved / deployment.memory_bytes_per_s)

    memory = memory_s(expected_experts_read(routed, gemms[0].imbalance, tokens))
    uniform = memory  # to uniform routing the factors were fitted
    if routed.routing != Routing():
        uniform = memory_s(expected_experts_read(replace(routed, routing=Routing()), gemms[0].imbalance, tokens))
    run = run_constants(deployment)
    terms: Terms = {}
    at_compute = run.mmq_compute if is_unpacked(form) and deployment.linear_format(up.tensor) == "int8" else run.experts_compute
    charge(terms, deployment, (run.experts, at_compute), busy, compute, memory, layers * share, weighed=uniform)
    launches(terms, deployment, launch * layers * share + np.zeros_like(tokens))
    return terms
