"""Subjects of attention cores: decode and prompt of grouped heads, and of latent attention without its projections."""

from typing import Any

import numpy as np

from roofcalc.physics.kernels.attention import DecodeParameters, PromptParameters, decode_s, prompt_s
from tools.calibrate.subjects import Prepared, Subject, looked_up
from tools.calibrate.tables import Columns, only

_CACHE = {"bfloat16": 2.0, "fp8": 1.0, "fp8_e4m3": 1.0}

DECODE_LIMITS: dict[str, Any] = {
    "start": (8, 0.3, 0.8, 0.5, 256, 30, 3, 1),
    "low": (0.5, 0.005, 0.05, 0.001, 16, 1, 0.1, 0.01),
    "high": (300, 1.0, 1.0, 20, 8192, 1000, 100, 20000),
    "spread": (1.5, 1.0, 0.3, 1.5, 1.0, 1.5, 1, 1.5),
}
PROMPT_LIMITS: dict[str, Any] = {
    "start": (10, 0.5, 0.7, 1, 64, 0.7, 0.05, 0.02, 2),
    "low": (0.5, 0.01, 0.05, 0.01, 1, 0.02, 0.001, 0.0005, 0.1),
    "high": (2000, 1.0, 1.0, 100, 512, 10, 30, 1.0, 100),
    "spread": (1.5, 0.7, 0.7, 1.5, 0.7, 1.5, 1.5, 1.5, 1),
}


def attention_dtype(columns: Columns) -> np.ndarray:
    """bf16, bf16-kv8 (16-bit arithmetic on an 8-bit cache) or fp8."""
    narrow_cache = np.isin(columns["kv_cache_dtype"], ["fp8", "fp8_e4m3"])
    computed = columns["attn_dtype"] if "attn_dtype" in columns else columns["mla_dtype"]
    return np.where(np.isin(computed, ["fp8", "fp8_block"]), "fp8", np.where(narrow_cache, "bf16-kv8", "bf16"))


def attention_peak(columns: Columns) -> np.ndarray:
    """The format of an attention's arithmetic."""
    return np.where(attention_dtype(columns) == "fp8", "fp8", "bf16")


def _window(columns: Columns) -> np.ndarray:
    window = np.nan_to_num(columns["window_size"])
    return np.where(window > 0, window, np.inf)


def _variant(columns: Columns) -> np.ndarray:
    """Engines dispatch heads beyond 256 elements, and windows, to other kernels; they are groups of their own."""
    kernel = columns["kernel_source"]
    kernel = np.where(columns["head_dim"] > 256, np.char.add(kernel, " wide"), kernel)
    return np.where(np.isfinite(_window(columns)), np.char.add(kernel, " window"), kernel)


def _decode_rows(columns: Columns) -> Columns:
    return {**columns, "dtype": attention_dtype(columns), "kernel": _variant(columns)}


def _decode_prepared(columns: Columns) -> Prepared:
    dims = columns["head_dim"]
    return {
        "sequences": columns["batch_size"], "entries": np.minimum(columns["step"] + 1, _window(columns)),
        "query_heads": columns["num_heads"], "kv_heads": columns["num_key_value_heads"],
        "entry_bytes": 2 * dims * looked_up(_CACHE, columns["kv_cache_dtype"], 2.0), "entry_flops": 4 * dims,
    }  # fmt: skip


_SHAPE = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size")

DECODE = Subject(
    name="decode", kind="attention", table="attention_generation", record=DecodeParameters, shape=_SHAPE, rows=_decode_rows,
    prepare=_decode_prepared, seconds=lambda parameters, facts, prepared: decode_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=attention_peak, **DECODE_LIMITS,
)  # fmt: skip


def _prompt_rows(columns: Columns) -> Columns:
    kernel = columns["kernel_source"]
    return {**columns, "dtype": attention_dtype(columns), "kernel": np.where(columns["head_dim"] > 256, np.char.add(kernel, " wide"), kernel)}


def _prompt_prepared(columns: Columns) -> Prepared:
    return {
        "sequences": columns["batch_size"], "new": columns["isl"], "before": np.nan_to_num(columns["step"]),
        "query_heads": columns["num_heads"], "kv_heads": columns["num_key_value_heads"], "key_dim": columns["head_dim"],
        "value_dim": columns["head_dim"], "cache_bytes": looked_up(_CACHE, columns["kv_cache_dtype"], 2.0), "window": _window(columns),
    }  # fmt: skip


PROMPT = Subject(
    name="prompt", kind="attention", table="attention_context", record=PromptParameters, shape=_SHAPE, rows=_prompt_rows,
    prepare=_prompt_prepared, seconds=lambda parameters, facts, prepared: prompt_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=attention_peak, **PROMPT_LIMITS,
)  # fmt: skip


def _core(table: str):  # type: ignore[no-untyped-def]
    def rows(columns: Columns) -> Columns:
        kept = only(columns, columns["table"] == table)
        return {**kept, "dtype": attention_dtype(kept), "kernel": kept["kernel_source"]}

    return rows


def _latent_prompt(columns: Columns) -> Prepared:
    heads = columns["num_heads"]
    return {
        "sequences": columns["batch_size"], "new": columns["isl"], "before": np.nan_to_num(columns["step"]), "query_heads": heads,
        "kv_heads": heads, "key_dim": 192.0, "value_dim": 128.0, "cache_bytes": 2.0,
    }  # fmt: skip


def _latent_decode(columns: Columns) -> Prepared:
    """Absorbed latent attention of DeepSeek-V3: one entry of 512 + 64 for all heads."""
    return {
        "sequences": columns["batch_size"], "entries": columns["step"] + columns["isl"], "query_heads": columns["num_heads"], "kv_heads": 1.0,
        "entry_bytes": 576.0 * looked_up(_CACHE, columns["kv_cache_dtype"], 2.0), "entry_flops": 2.0 * (2 * 512 + 64),
    }  # fmt: skip


_LATENT_SHAPE = ("batch_size", "isl", "step", "num_heads")

LATENT_PROMPT = Subject(
    name="latent_prompt", kind="attention", table="mla_context", record=PromptParameters, shape=_LATENT_SHAPE, rows=_core("context_mla"),
    prepare=_latent_prompt, seconds=lambda parameters, facts, prepared: prompt_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=attention_peak, **PROMPT_LIMITS,
)  # fmt: skip

LATENT_DECODE = Subject(
    name="latent_decode", kind="attention", table="mla_generation", record=DecodeParameters, shape=_LATENT_SHAPE, rows=_core("generation_mla"),
    prepare=_latent_decode, seconds=lambda parameters, facts, prepared: decode_s(parameters, facts, **prepared, repeated=True),
    peak_dtype=attention_peak, **DECODE_LIMITS,
)  # fmt: skip
