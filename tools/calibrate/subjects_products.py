"""Subjects of products and experts: gemm, batched products of latent attention, fused experts."""

from functools import cache

import numpy as np

from roofcalc.physics.kernels.experts import ExpertParameters, experts_s
from roofcalc.physics.kernels.gemm import GemmParameters, gemm_s
from roofcalc.physics.kernels.routing import TILES, RoutedLoad
from tools.calibrate.loads import routed_load
from tools.calibrate.subjects import ACTIVATION_BYTES, WEIGHT_BYTES, Prepared, Subject, compute_dtype, looked_up
from tools.calibrate.tables import Columns

GEMM_LIMITS = {
    "start": (4, 0.7, 0.8, 0.3, 0.3, 0.5, 3, 100, 4),
    "low": (0.3, 0.03, 0.05, 0.01, 0.01, 0.02, 0.5, 20, 0.5),
    "high": (60, 1.0, 1.0, 1.5, 10, 10, 100, 2000, 100),
    "spread": (1.5, 0.5, 0.3, 1, 1.5, 1, 1, 1, 1),
}


def _gemm_rows(columns: Columns) -> Columns:
    return {**columns, "dtype": columns["gemm_dtype"], "kernel": columns["kernel_source"]}


def _gemm_prepared(columns: Columns) -> Prepared:
    weights = looked_up(WEIGHT_BYTES, columns["gemm_dtype"], 2.0)
    activations = looked_up(ACTIVATION_BYTES, columns["gemm_dtype"], 2.0)
    return {"m": columns["m"], "n": columns["n"], "k": columns["k"], "weight_bytes": weights, "activation_bytes": activations}


GEMM = Subject(
    name="gemm", kind="gemm", table="gemm", record=GemmParameters, shape=("m", "n", "k"), rows=_gemm_rows, prepare=_gemm_prepared,
    seconds=lambda parameters, facts, prepared: gemm_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=compute_dtype("gemm_dtype"), **GEMM_LIMITS,
)  # fmt: skip


def _latent_rows(columns: Columns) -> Columns:
    half = np.char.replace(columns["op_name"], "mla_gen_", "")
    return {**columns, "dtype": columns["bmm_dtype"], "kernel": np.char.add(np.char.add(columns["kernel_source"], " "), half)}


def _latent_prepared(columns: Columns) -> Prepared:
    """DeepSeek-V3's absorbed per-head products: 128 × 512 before the core, 512 × 128 after it."""
    before = columns["op_name"] == "mla_gen_pre"
    width = looked_up(WEIGHT_BYTES, columns["bmm_dtype"], 2.0)
    return {
        "m": columns["num_tokens"], "n": np.where(before, 512.0, 128.0), "k": np.where(before, 128.0, 512.0), "count": columns["num_heads"],
        "weight_bytes": width, "activation_bytes": width,
    }  # fmt: skip


LATENT_PRODUCT = Subject(
    name="latent_product", kind="attention", table="mla_bmm", record=GemmParameters, shape=("op_name", "num_tokens", "num_heads"),
    rows=_latent_rows, prepare=_latent_prepared,
    seconds=lambda parameters, facts, prepared: gemm_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=compute_dtype("bmm_dtype"), **GEMM_LIMITS,
)  # fmt: skip


def _experts_rows(columns: Columns) -> Columns:
    return {**columns, "dtype": columns["moe_dtype"], "kernel": columns["kernel_source"]}


def _wide_rows(columns: Columns) -> Columns:
    kernel = np.char.add(np.char.add(columns["kernel_source"], " "), columns["op_name"])
    return {**columns, "dtype": columns["moe_dtype"], "kernel": kernel}


def routing_of(distribution: str) -> str | float:
    """The routing that a table's `distribution` names: balanced, uniform, power_law_1.2 and the like.

    Loads evened out by replicated experts (a suffix eplb) count as balanced; a distribution without a known name as uniform.
    """
    if distribution == "balanced" or distribution.endswith("eplb"):
        return "balanced"
    try:
        return float(distribution.removeprefix("power_law_"))
    except ValueError:
        return "uniform"


@cache
def _load(tokens: int, top_k: int, experts: int, ranks: int, distribution: str) -> tuple[float, ...]:
    load = routed_load(np.array([float(tokens)]), top_k, experts, ranks, routing_of(distribution))
    return tuple(float(part[0]) for part in (load.experts_hit, load.assignments, load.routed, *load.rows))


def loads(columns: Columns) -> RoutedLoad:
    """The load of every row's device, computed once for each distinct combination."""
    titles = ("num_tokens", "topk", "num_experts", "moe_ep_size")
    keys = list(zip(*[columns[title].astype(int).tolist() for title in titles], columns["distribution"].tolist(), strict=True))
    table = np.array([_load(*key) for key in keys])
    return RoutedLoad(table[:, 0], table[:, 1], table[:, 2], tuple(table[:, 3 + i] for i in range(len(TILES))))


def _gated(columns: Columns) -> np.ndarray:
    """Experts of two matrices: Nemotron's, by kernel name or by shape (22 of 512 experts, or 6 of 128 of width 1856)."""
    named = np.char.find(columns["kernel_source"], "nongated") >= 0
    nemotron = (columns["num_experts"] == 512) & (columns["topk"] == 22) | (columns["inter_size"] == 1856)
    return np.asarray(~(named | nemotron))


def _experts_prepared(columns: Columns) -> Prepared:
    return {
        "load": loads(columns), "hidden": columns["hidden_size"], "inter": columns["inter_size"] / columns["moe_tp_size"],
        "weight_bytes": looked_up(WEIGHT_BYTES, columns["moe_dtype"], 2.0), "gated": _gated(columns),
        "activation_bytes": looked_up(ACTIVATION_BYTES, columns["moe_dtype"], 2.0),
    }  # fmt: skip


EXPERT_LIMITS = {
    "start": (30, 0.5, 0.8, 0.3, 1, 3, 0.5, 20, 0.1),
    "low": (2, 0.02, 0.05, 0.01, 0.02, 0.1, 0.02, 0.1, 0.001),
    "high": (400, 1.0, 1.0, 1.5, 50, 100, 10, 2000, 1.0),
    "spread": (1.5, 0.7, 0.4, 1, 1.5, 1, 1, 1.5, 2),
}
_EXPERT_SHAPE = ("num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size", "distribution")

EXPERTS = Subject(
    name="experts", kind="experts", table="moe", record=ExpertParameters, shape=_EXPERT_SHAPE, rows=_experts_rows,
    prepare=_experts_prepared, seconds=lambda parameters, facts, prepared: experts_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=compute_dtype("moe_dtype"), **EXPERT_LIMITS,
)  # fmt: skip

EXPERTS_WIDE = Subject(
    name="experts_wide", kind="experts", table="moe_wide", record=ExpertParameters, shape=_EXPERT_SHAPE, rows=_wide_rows,
    prepare=_experts_prepared, seconds=lambda parameters, facts, prepared: experts_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=compute_dtype("moe_dtype"), **EXPERT_LIMITS,
)  # fmt: skip
