"""Subjects of recurrent kernels, collectives, and the dispatch and combine of experts."""

from typing import Any

import numpy as np

from roofcalc.physics.kernels.collective import CollectiveParameters, ExchangeParameters, collective_s, exchange_s
from roofcalc.physics.kernels.recurrent import RecurrentParameters, recurrent_s
from tools.calibrate.subjects import Prepared, Subject
from tools.calibrate.tables import Columns, stacked

CHUNK = 64  # tokens of a chunk in the scans of prompts


def _bf16(columns: Columns) -> np.ndarray:
    return np.full(len(columns["us"]), "bf16")


def _recurrent_rows(columns: Columns) -> Columns:
    kernel = np.char.add(np.char.add(columns["kernel_source"], " "), columns["table"])
    return {**columns, "dtype": columns["phase"], "kernel": kernel}


def _recurrent_prepared(columns: Columns) -> Prepared:
    """Bytes and FLOPs of a call: convolutions move their channels; scans and updates keep a state of d_k × d_v per value head."""
    sequences, length, phase = columns["batch_size"], columns["seq_len"], columns["phase"]
    tokens = sequences * length
    mamba = columns["table"] == "mamba2"
    key_heads = np.where(mamba, columns["n_groups"], columns["num_k_heads"])
    key_dim = np.where(mamba, columns["d_state"], columns["head_k_dim"])
    heads = np.where(mamba, columns["nheads"], columns["num_v_heads"])
    value_dim = np.where(mamba, columns["head_dim"], columns["head_v_dim"])
    channels = 2 * key_heads * key_dim + heads * value_dim
    conv = np.char.find(columns["kernel_source"], "conv1d") >= 0
    states = sequences * heads * key_dim * value_dim
    chunked = (phase == "context") & ~conv
    moved = np.where(conv, tokens * channels * 4.0 + sequences * channels * 12.0, tokens * channels * 4.0 + 8.0 * states)
    scan = tokens * heads * (6.0 * key_dim * value_dim + 4.0 * CHUNK * (key_dim + value_dim))
    flops = np.where(conv, tokens * channels * 8.0, np.where(chunked, scan, 8.0 * tokens * heads * key_dim * value_dim))
    steps = np.where(conv, np.where(phase == "context", length / CHUNK, length), np.where(chunked, np.ceil(length / CHUNK), length))
    blocks = np.where(conv, sequences * channels / 256.0, sequences * heads)
    return {"sequences": sequences, "blocks": blocks, "steps": steps, "flops": flops, "moved_bytes": moved}


RECURRENT = Subject(
    name="recurrent", kind="attention", table="recurrent", record=RecurrentParameters,
    shape=("table", "phase", "batch_size", "seq_len", "num_k_heads", "num_v_heads", "nheads", "d_model"),
    rows=_recurrent_rows, prepare=_recurrent_prepared, peak_dtype=_bf16,
    seconds=lambda parameters, facts, prepared: recurrent_s(parameters, facts, **prepared, repeated=True),
    start=(5, 0.2, 0.6, 1, 0.02, 2), low=(0.5, 0.002, 0.02, 0.002, 0.0005, 0.1), high=(500, 1.0, 1.0, 100, 10, 100),
    spread=(1.5, 1.2, 0.7, 1.5, 1.5, 1),
)  # fmt: skip


def _collective_rows(columns: Columns) -> Columns:
    """Kernel: library, operation, implementation and number of devices; both number formats of NCCL share their constants by bytes."""
    source = np.char.replace(np.char.add(columns["backend"], columns["implementation"]), "nan", "")
    source = np.where(source == "", columns["kernel_source"], source)
    devices = columns["num_gpus"].astype(int).astype(str)
    kernel = np.char.add(np.char.add(source, " x"), devices)
    return {**columns, "dtype": columns["op_name"], "kernel": kernel}


def _collective_prepared(columns: Columns) -> Prepared:
    width = np.where(columns["nccl_dtype"] == "int8", 1.0, 2.0)
    return {"operation": columns["op_name"], "message_bytes": columns["message_size"] * width, "devices": columns["num_gpus"]}


def _collective_seconds(parameters: CollectiveParameters, facts: Any, prepared: Prepared) -> np.ndarray:
    return collective_s(parameters, str(prepared["operation"][0]), prepared["message_bytes"], prepared["devices"])


COLLECTIVE = Subject(
    name="collective", kind="collectives", table="collective", record=CollectiveParameters,
    shape=("op_name", "num_gpus", "message_size", "nccl_dtype"), rows=_collective_rows, prepare=_collective_prepared,
    seconds=_collective_seconds, peak_dtype=_bf16,
    start=(10, 30, 20, 300, 1), low=(1, 0.02, 1, 0.02, 0.001), high=(1000, 2000, 3000, 4000, 500), spread=(1.5, 2, 1.5, 2, 1.5),
)  # fmt: skip


def _exchange(columns: Columns, phase: str, time: str, tokens: str, top_k: str, **fixed: Any) -> Columns:
    """One phase of a table whose phases are columns, in the common form of this subject."""
    count = len(columns["device"])
    ranks = columns["node_num"] * fixed["ranks"]
    return {
        "device": columns["device"], "engine": columns["engine"], "dtype": np.full(count, fixed["dtype"]),
        "kernel": np.full(count, f"{fixed['kernel']} {phase}"), "us": columns[time], "tokens": columns[tokens], "hidden": columns["hidden_size"],
        "top_k": columns[top_k], "experts": columns["num_experts"], "ranks": ranks, "wire": np.full(count, fixed["wire"]),
        "units": columns[fixed["units"]] if fixed.get("units") else np.full(count, np.nan), "merged": np.full(count, fixed["merged"]),
    }  # fmt: skip


def _ll_rows(columns: Columns) -> Columns:
    parts = []
    for phase, dtype, wire in (("dispatch", "fp8", 1 + 4 / 128), ("combine", "bf16", 2.0)):
        fixed = {"ranks": 8, "kernel": "deepep_ll", "merged": False, "dtype": dtype, "wire": wire}
        parts.append(_exchange(columns, phase, f"{phase}_avg_t_us", "num_token", "num_topk", **fixed))
    return stacked(parts)


def _normal_rows(columns: Columns) -> Columns:
    parts = []
    for phase, dtype, wire in (("dispatch", "fp8", 1 + 4 / 128), ("combine", "bf16", 2.0)):
        fixed = {"ranks": 8, "kernel": "deepep_normal", "merged": True, "dtype": dtype, "wire": wire, "units": f"{phase}_sms"}
        parts.append(_exchange(columns, phase, f"{phase}_transmit_us", "num_token", "num_topk", **fixed))
    return stacked(parts)


_WIRE = {"bfloat16": 2.0, "fp8": 1 + 4 / 128, "fp4": 0.5625, "nvfp4": 0.5625, "default": 2.0}


def _a2a_rows(columns: Columns) -> Columns:
    """TensorRT-LLM's and vLLM's exchanges. In the table moe_a2a `us` is a thousand times too large; its `transmit_us` is right."""
    both = columns["table"] == "moe_a2a"
    dtype = np.where(both, columns["comm_dtype"], columns["moe_dtype"])
    phase = np.where(both, columns["phase"], np.char.replace(columns["op_name"], "alltoall_", ""))
    library = np.where(both, columns["comm_backend"], columns["kernel_source"])
    wire = np.array([_WIRE.get(name, 2.0) for name in dtype.tolist()])
    wire = np.where((phase == "combine") & ~both, 2.0, np.where(phase == "prepare", 0.01, wire))
    return {
        "device": columns["device"], "engine": columns["engine"], "dtype": dtype, "us": np.where(both, columns["transmit_us"], columns["us"]),
        "kernel": np.char.add(np.char.add(library, " "), phase), "tokens": columns["num_tokens"], "hidden": columns["hidden_size"],
        "top_k": columns["topk"], "experts": columns["num_experts"], "ranks": np.where(both, columns["ep_size"], columns["moe_ep_size"]),
        "wire": wire, "units": np.full(len(wire), np.nan), "merged": np.char.find(library, "ll") < 0,
    }  # fmt: skip


def _exchange_prepared(columns: Columns) -> Prepared:
    """Copies that leave a device: one per rank reached where copies are merged, else one per expert on another rank (PHYSICS §3)."""
    ranks, top_k = columns["ranks"], columns["top_k"]
    missed = (1 - 1 / ranks) ** top_k  # a rank is missed by k independent choices; within a few percent of C(E−E/e, k)/C(E, k)
    merged = (ranks - 1) * (1 - missed)
    single = top_k * (ranks - 1) / ranks
    units = np.where(np.isnan(columns["units"]), np.inf, columns["units"])
    copies = np.where(columns["merged"], merged, single)
    return {"tokens": columns["tokens"], "token_bytes": columns["hidden"] * columns["wire"], "copies": copies, "units": units}


def _exchange_seconds(parameters: ExchangeParameters, facts: Any, prepared: Prepared) -> np.ndarray:
    units = np.where(np.isinf(prepared["units"]), facts.compute_units, prepared["units"])
    return exchange_s(parameters, facts, prepared["tokens"], prepared["token_bytes"], prepared["copies"], units)


def _exchange_subject(name: str, table: str, rows: Any) -> Subject:
    return Subject(
        name=name, kind="collectives", table=table, record=ExchangeParameters, shape=("tokens", "hidden", "top_k", "experts", "ranks"),
        rows=rows, prepare=_exchange_prepared, seconds=_exchange_seconds, peak_dtype=_bf16,
        start=(20, 0.6, 5, 20), low=(1, 0.01, 0.01, 0.2), high=(500, 1.0, 2000, 200), spread=(1.5, 0.7, 1.5, 1.0),
    )  # fmt: skip


EXCHANGE_LL = _exchange_subject("exchange_ll", "exchange_ll", _ll_rows)
EXCHANGE_NORMAL = _exchange_subject("exchange_normal", "exchange_normal", _normal_rows)
EXCHANGE_A2A = _exchange_subject("exchange_a2a", "exchange_a2a", _a2a_rows)
