"""Subjects of attention modules: latent attention with its projections, and the sparse kinds of DeepSeek, GLM and MiniMax.

The dimensions are those of the models that the tables name (models/*.yaml holds the same figures for the calculator).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from roofcalc.physics.kernels.attention import causal_pairs
from roofcalc.physics.kernels.modules import ModuleParameters, module_s
from tools.calibrate.subjects import COMPUTE_DTYPE, WEIGHT_BYTES, Prepared, Subject, looked_up
from tools.calibrate.subjects_attention import attention_dtype, attention_peak
from tools.calibrate.tables import Columns, only


@dataclass(frozen=True)
class Dimensions:
    """One layer's attention: hidden size, ranks and head dimensions, heads of the whole model, the indexer and its choice."""

    hidden: int
    q_rank: int
    kv_rank: int
    nope: int
    rope: int
    value: int
    heads: int
    index_heads: int = 0
    index_dim: int = 128
    top_k: int = 0
    output_groups: int = 0
    output_rank: int = 0


V3 = Dimensions(7168, 1536, 512, 128, 64, 128, 128)
V32 = Dimensions(7168, 1536, 512, 128, 64, 128, 128, 64, 128, 2048)
GLM5 = Dimensions(6144, 2048, 512, 192, 64, 256, 64, 32, 128, 2048)
V4_FLASH = Dimensions(4096, 1024, 512, 448, 64, 512, 64, 64, 128, 512, 8, 1024)
V4_PRO = Dimensions(7168, 1536, 512, 448, 64, 512, 128, 64, 128, 1024, 16, 1024)
M3 = Dimensions(6144, 0, 0, 128, 0, 128, 64, 4, 128, 17 * 128)


def dimensions_of(model: str) -> Dimensions:
    """The dimensions of the model that a table names; DeepSeek-V3's where the name is unknown."""
    name = model.lower()
    for part, found in (("minimax-m3", M3), ("v4-flash", V4_FLASH), ("v4", V4_PRO), ("glm-5", GLM5), ("v3.2", V32)):
        if part in name:
            return found
    return V3


def _each(columns: Columns, field: str) -> np.ndarray:
    return looked_up({name: getattr(dimensions_of(name), field) for name in np.unique(columns["model"]).tolist()}, columns["model"], 0).astype(float)


def _projections(columns: Columns, heads: np.ndarray, expanded: np.ndarray) -> np.ndarray:
    """Weights of the projections on one device, elements: PHYSICS §2, for `heads` query heads of the device.

    `expanded`: keys and values are rebuilt from the latent (prompts), else absorbed per-head products (decode); the same weights.
    """
    h, r_q, r_kv = _each(columns, "hidden"), _each(columns, "q_rank"), _each(columns, "kv_rank")
    nope, rope, value, total = _each(columns, "nope"), _each(columns, "rope"), _each(columns, "value"), _each(columns, "heads")
    latent = h * (r_q + r_kv + rope) + r_q * heads * (nope + rope) + r_kv * heads * (nope + value) * expanded + heads * value * h
    grouped = h * heads * 128 * 2 + 2 * h * np.maximum(1.0, 4 * heads / 64) * 128  # MiniMax M3: queries, keys, values, output
    groups, rank = _each(columns, "output_groups"), _each(columns, "output_rank")
    pooled = h * (r_q + r_kv) + r_q * heads * 512 + heads * 512 * rank + groups * heads / np.maximum(total, 1) * rank * h
    base = np.where(r_q == 0, grouped, np.where(groups > 0, pooled, latent))
    return np.asarray(base + _index_weights(columns))


def _indexed(columns: Columns) -> np.ndarray:
    """True where the module runs an indexer: not where it reuses another layer's choice, nor where it pools coarsely."""
    skipped = (np.char.find(columns["op_name"], "skip_indexer") >= 0) | (np.char.find(columns["op_name"], "hca") >= 0)
    dense = np.char.find(columns["kernel_source"], "skip_indexer") >= 0
    return (_each(columns, "index_heads") > 0) & ~skipped & ~dense


def _index_weights(columns: Columns) -> np.ndarray:
    n, d = _each(columns, "index_heads"), _each(columns, "index_dim")
    source = np.where(_each(columns, "q_rank") > 0, _each(columns, "q_rank"), _each(columns, "hidden"))
    return np.where(_indexed(columns), source * n * d + _each(columns, "hidden") * (d + n), 0.0)


def _prepared(columns: Columns, decode: bool) -> Prepared:
    sequences, heads = columns["batch_size"], columns["num_heads"]
    before = np.nan_to_num(columns["step"])
    new = np.ones_like(sequences) if decode else columns["isl"]
    if decode:
        before = np.where(columns["table"] == "wideep_generation_mla", columns["isl"], before)
    tokens, seen = sequences * new, before + new
    expanded = np.zeros_like(new) if decode else np.ones_like(new)
    if decode:
        expanded = np.ones_like(new)  # absorbed products use the same weights
    weights = _projections(columns, heads, expanded)
    linear = columns["gemm_type"]
    ratio = np.nan_to_num(columns["compress_ratio"]) if "compress_ratio" in columns else np.zeros_like(new)
    pool = np.where(ratio > 0, ratio, 1.0)
    top_k, r_q = _each(columns, "top_k"), _each(columns, "q_rank")
    coarse = np.char.find(columns["op_name"], "hca") >= 0
    dense = (np.char.find(columns["kernel_source"], "dense") >= 0) | (top_k == 0)
    limit = np.where(dense | coarse, np.inf, top_k * pool)
    every = causal_pairs(new, before)
    pairs = np.where(np.isfinite(limit), causal_pairs(new, before, np.where(np.isfinite(limit), limit, 1e12)), every) / pool
    window = causal_pairs(new, before, np.full_like(new, 128.0))
    pairs = np.where(ratio > 0, pairs + window, pairs)
    read = np.minimum(seen, limit) / pool + np.where(ratio > 0, np.minimum(seen, 128), 0.0)
    absorbed = 2.0 * (2 * _each(columns, "kv_rank") + _each(columns, "rope"))
    rebuilt = 2.0 * (_each(columns, "nope") + _each(columns, "rope") + _each(columns, "value"))
    plain = dense & ~np.full_like(dense, decode)
    per_pair = np.where(r_q == 0, 512.0, np.where(ratio > 0, 2048.0, np.where(plain, rebuilt, absorbed)))
    cache = np.where(np.isin(columns["kv_cache_dtype"], ["fp8", "fp8_e4m3"]), 1.0, 2.0)
    entry = np.where(r_q == 0, 256.0 * np.maximum(1.0, 4 * heads / 64), np.where(ratio > 0, 512.0, 576.0)) * cache
    indexed = _indexed(columns)
    index_heads, index_dim = _each(columns, "index_heads"), _each(columns, "index_dim")
    candidates = np.where(indexed, every / new / pool, 0.0)
    return {
        "tokens": tokens,
        "linear_flops": 2.0 * tokens * weights,
        "linear_bytes": weights * looked_up(WEIGHT_BYTES, linear, 2.0) + tokens * 4.0 * _each(columns, "hidden"),
        "heads": heads,
        "core_flops": per_pair * heads * sequences * pairs,
        "core_bytes": sequences * read * entry,
        "index_flops": 2.0 * tokens * candidates * index_heads * index_dim,
        "index_bytes": np.where(indexed, sequences * seen / pool * (index_dim + 4), 0.0),
        "candidates": candidates,
    }


def linear_peak(columns: Columns) -> np.ndarray:
    """The format that the projections compute in."""
    return looked_up(COMPUTE_DTYPE, columns["gemm_type"], "bf16")


MODULE_LIMITS: dict[str, Any] = {
    "start": (60, 0.6, 0.7, 0.4, 0.6, 16, 5, 0.3, 10),
    "low": (2, 0.02, 0.05, 0.005, 0.02, 1, 0.01, 0.005, 0.01),
    "high": (3000, 1.0, 1.0, 1.0, 1.0, 128, 5000, 1.0, 20000),
    "spread": (1.5, 0.7, 0.5, 1.0, 0.7, 1.0, 1.5, 1.0, 1.5),
}


def _module_rows(kept: Columns) -> Columns:
    """Groups by number formats of core and projections; the kernel carries the operation where there are several kinds."""
    dtype = np.char.add(np.char.add(attention_dtype(kept), "+"), kept["gemm_type"])
    operation = np.char.replace(np.char.replace(np.char.replace(kept["op_name"], "_module", ""), "_context", ""), "_generation", "")
    label = np.where(np.char.find(operation, "mla") >= 0, kept["table"], operation)
    label = np.char.replace(np.char.replace(np.char.replace(label, "_module", ""), "_context", ""), "_generation", "")
    return {**kept, "dtype": dtype, "kernel": np.char.add(np.char.add(kept["kernel_source"], " "), label)}


def _latent_rows(columns: Columns) -> Columns:
    return _module_rows(only(columns, ~np.isin(columns["table"], ["context_mla", "generation_mla"])))


_SHAPE = ("model", "op_name", "batch_size", "isl", "step", "num_heads")


def _seconds(parameters: ModuleParameters, facts: Any, prepared: Prepared) -> np.ndarray:
    return module_s(parameters, facts, **prepared)


def _subject(name: str, table: str, rows: Any, decode: bool) -> Subject:
    return Subject(
        name=name, kind="attention", table=table, record=ModuleParameters, shape=_SHAPE, rows=rows,
        prepare=lambda columns: _prepared(columns, decode), seconds=_seconds, peak_dtype=attention_peak, **MODULE_LIMITS,
    )  # fmt: skip


LATENT_MODULE_PROMPT = _subject("latent_module_prompt", "mla_context", _latent_rows, False)
LATENT_MODULE_DECODE = _subject("latent_module_decode", "mla_generation", _latent_rows, True)
SPARSE_PROMPT = _subject("sparse_prompt", "sparse_context", _module_rows, False)
SPARSE_DECODE = _subject("sparse_decode", "sparse_generation", _module_rows, True)
