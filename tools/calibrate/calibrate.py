"""Writes `typical.yaml` from measurements: `python -m tools.calibrate.calibrate KERNELS FIGURES POINTS [-o FILE]`.

In two steps: micro-benchmarks of kernels give the efficiencies and latencies of each device (`tools.calibrate.kernels`); then
a few parameters that all devices share, mainly overheads outside kernels, are fitted to end-to-end runs
(`tools.calibrate.runs`). The errors that it prints and writes are out-of-sample: with each source left out in turn, and with
each fifth of the points (by a hash of their names) left out.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from roofcalc.catalog import lookup
from roofcalc.deployment.calibrated import DEFAULT_DEVICE, DeviceProfile, Engine, Network, Reserve, Typical
from roofcalc.deployment.efficiency import AllToAll
from roofcalc.measurements.cases import GENERATIONS
from roofcalc.specs.record import Record
from tools.calibrate import kernels, runs

# Kernels that also count for another device: the measured board is listed with the workstation's 1,792 GB/s; an H800 is an H100 with
# slower links.
SAME = {"rtx-pro-6000-server": "rtx-pro-6000-workstation", "h800-sxm": "h100-sxm"}
# Fallback device for efficiencies that were not measured, by name, family or vendor.
LIKE = {
    "a100-sxm-80gb": "h100-sxm",
    "a100-pcie-80gb": "a100-sxm-80gb",
    "h200-sxm": "h100-sxm",
    "gh200-144gb": "h200-sxm",
    "b200-sxm": "h100-sxm",
    "gb200": "b200-sxm",
    "b300-sxm": "b200-sxm",
    "l40s": "h100-sxm",
    "rtx-pro-6000-server": "l40s",
    "rtx-pro-6000-workstation": "rtx-pro-6000-server",
    "mi250x-gcd": "a100-sxm-80gb",
    "mi300x": "h100-sxm",
    "mi325x": "mi300x",
    "mi355x": "mi325x",
    "gaudi2": "a100-sxm-80gb",
    "gaudi3": "gaudi2",
}
FALLBACK_DEVICE = {
    "a10": "l40s",
    "a10g": "l40s",
    "a40": "l40s",
    "rtx-3090": "l40s",
    "jetson-agx-orin-64gb": "l40s",
    "rtx-5090": "rtx-pro-6000-workstation",
    "gb10": "rtx-pro-6000-workstation",
    "jetson-thor-t5000": "rtx-pro-6000-workstation",
    "gb300": "b300-sxm",
    "gh200-96gb": "gh200-144gb",
    "h200-nvl": "h200-sxm",
    "Volta": "a100-sxm-80gb",
    "Turing": "l40s",
    "Ampere": "a100-sxm-80gb",
    "Ada Lovelace": "l40s",
    "Hopper": "h100-sxm",
    "Blackwell": "b200-sxm",
    "Blackwell Ultra": "b300-sxm",
    "Rubin": "b200-sxm",
    "NVIDIA": "h100-sxm",
    "CDNA 2": "mi250x-gcd",
    "CDNA 3": "mi300x",
    "CDNA 4": "mi355x",
    "AMD": "mi355x",
    "Gaudi": "gaudi3",
    "Apple": "l40s",
    "Tenstorrent": "l40s",
    DEFAULT_DEVICE: "a100-sxm-80gb",
}
# Scale-out network. All-to-all kernels that send each copy: DeepEP, docs/legacy.md (77 to 194 us for 128 tokens); point-to-point sends:
# aiconfigurator's p2p_latency; latency per doubling of the domains: NCCL's tuning.cc, net tree LL128. The latency of kernels that merge
# copies (`merged_us`) is not published: they wait for the host, and engines do not use them for decode steps of 128 tokens per rank, which
# implies at least 100 and 200 us.
NETWORK = Network(send_us=10.0, send=0.8, scale_out_us=8.5, scale_out=0.9, scale_out_all_to_all=AllToAll(25.0, 0.85, 200.0, 0.95))
MERGED = {"h100-sxm": (100.0, 0.77), "b200-sxm": (100.0, 0.76)}  # fractions: DeepEP, docs/legacy.md (153 of H800's 200 GB/s) and README.md
ALSO = (
    "https://github.com/deepseek-ai/DeepEP/blob/dd758ca/docs/legacy.md",
    "https://github.com/NVIDIA/nccl/blob/master/src/graph/tuning.cc",
    "whole runs: the sources that the file of points names",
)
RESERVE = Reserve(share=0.05, least_gb=2.0, most_gb=6.0, most_share=0.1)  # aiconfigurator keeps 3.85 GiB of an H100


def devices(timed: list[kernels.Kernel], figures: list[dict[str, str]]) -> dict[str, DeviceProfile]:
    """Efficiencies and latencies of each device from kernel measurements."""
    found: dict[str, dict[str, Any]] = kernels.by_device(timed)
    usual_share = _typical_shape_ratio(found, figures)
    for row in figures:
        entry, device = found.setdefault(row["device"], {}), lookup.hardware(row["device"])[0].device
        if row["what"] == "best_product" and "weight_read" not in entry:
            share = float(row["value"]) / device.peak_tflop_s[row["key"]] * usual_share
            entry.setdefault("gemm", {})[row["key"]] = round(min(1.0, share), 2)
        elif row["what"] == "gather":
            latency, rate = map(float, row["value"].split())
            entry.setdefault("all_gather_us", {})[row["key"]] = latency
            entry["all_gather"] = round(rate / _link_gb_s(row["device"]), 2)
        elif row["what"] == "exchange":
            latency, rate = map(float, row["value"].split())
            entry["all_to_all"] = AllToAll(latency, round(rate / _link_gb_s(row["device"]), 2), *MERGED[row["device"]])
    for name, entry in found.items():
        if "gemm" in entry and "weight_read" not in entry:
            entry["gemm"] = _with_missing_dtypes(entry["gemm"], found, LIKE[name])
        reduced = [one for one in timed if one.kind == "all_reduce" and one.device == name]
        if reduced:
            entry["all_reduce"] = kernels.reductions(reduced, _link_gb_s(name))
    rates = {row["key"]: float(row["value"]) for row in figures if row["what"] == "busbw"}
    latencies = found["h100-sxm"]["all_reduce"]
    found["mi300x"]["all_reduce"] = {key: _mesh_all_reduce(key, rate, latencies[key]) for key, rate in rates.items()}
    return {name: DeviceProfile(like=LIKE.get(name), **found[name]) for name in dict.fromkeys([*LIKE, *found]) if name in found}


def scattered(timed: list[kernels.Kernel], entries: dict[str, DeviceProfile]) -> dict[str, tuple[float, ...]]:
    """Number of kernels, median and 90th percentile of their errors at the efficiencies of their device, by kind."""
    own = {name: {field.name: getattr(entry, field.name) or {} for field in entry.fields_} for name, entry in entries.items()}
    found = kernels.log_errors(timed, own)
    return {kind: (float(len(all_)), *(round(float(np.quantile(all_, share)), 3) for share in (0.5, 0.9))) for kind, all_ in found.items()}


def _with_missing_dtypes(products: dict[str, float], found: dict[str, dict[str, Any]], lender: str) -> dict[str, float]:
    """GEMM efficiencies of a device; missing dtypes are those of its fallback device, scaled by the ratio in bf16."""
    products = {"bf16": products.get("bf16", products.get("fp8", 1.0)), **products}
    while "gemm" not in found[lender]:
        lender = LIKE[lender]
    others = found[lender]["gemm"]
    ratio = products["bf16"] / others["bf16"]
    return {**{dtype: round(min(1.0, other * ratio), 2) for dtype, other in others.items()}, **products}


def _mesh_all_reduce(ranks: str, rate_gb_s: float, other: Sequence[float]) -> tuple[float, ...]:
    """All-reduce parameters of a mesh of which only the bandwidth is published, with the latencies of another machine."""
    link = lookup.hardware("mi300x")[0].device.link
    assert link is not None
    share = round(rate_gb_s / (link.bytes_per_s(int(ranks)) / 1e9), 3)
    return other[0], share, other[2], share


def _typical_shape_ratio(found: dict[str, dict[str, Any]], figures: list[dict[str, str]]) -> float:
    """Efficiency of typical GEMM shapes over that of the best shape: the median over devices and formats with both."""
    shares = []
    for row in figures:
        own = found.get(row["device"], {}).get("gemm", {})
        if row["what"] == "best_product" and row["key"] in own:
            peak = lookup.hardware(row["device"])[0].device.peak_tflop_s[row["key"]]
            shares.append(own[row["key"]] * peak / float(row["value"]))
    return float(np.median(shares))


def _link_gb_s(name: str) -> float:
    """Bandwidth of the link over which a device was measured: its own, or that of its usual server. [GB/s]"""
    server = {"l40s": "8-way-l40s", "rtx-pro-6000-server": "8-way-rtx-pro-6000"}.get(name, name)
    link = lookup.hardware(server)[0].link
    assert link is not None
    return link.gb_s


def text(file: Typical) -> str:
    """The file as YAML text."""
    head = [
        "# What devices and engines achieve, for the preset `typical`. Written by `python -m tools.calibrate.calibrate`: change its",
        "# measurements and run it again, not this file. Figures are those of `roofcalc.deployment.efficiency`; from:",
        *(f"#   {source}" for source in (*kernels.SOURCES.values(), *ALSO)),
        "# kernels, errors: how many, median and 90th percentile of |ln(predicted/measured)| of single kernels at these fractions, and of",
        "# |predicted/measured - 1| of whole runs: those of a source, or a fifth, that a fit did not see, and those that it did.",
    ]
    lines = "\n".join([*head, *(f"{key}: {_flow(value, 0)}" for key, value in _plain(file).items())]) + "\n"
    return lines.replace(": \n", ":\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        shown = {field.name: getattr(value, field.name) for field in value.fields_}
        return {name: _plain(item) for name, item in shown.items() if item is not None}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return round(value, 3) if isinstance(value, float) else value


def _flow(value: Any, depth: int) -> str:
    if isinstance(value, dict) and depth < 2 and any(isinstance(item, dict) for item in value.values()):
        pad = "  " * (depth + 1)
        return "".join(f"\n{pad}{_key(key)}: {_flow(item, depth + 1)}" for key, item in value.items())
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_flow(item, 9)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item, 9) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and not value[:1].isalpha():
        return f'"{value}"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def _key(key: str) -> str:
    return f'"{key}"' if key.isdigit() else key


def main(given: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.calibrate.calibrate", description=__doc__)
    for name in ("kernels", "figures", "points"):
        parser.add_argument(name, type=Path)
    parser.add_argument("-o", "--output", type=Path)
    asked = parser.parse_args(given)
    timed = kernels.read(asked.kernels, SAME)
    entries = devices(timed, kernels.figures(asked.figures))
    prior = runs.run_of(np.zeros(len(runs.PRIORS)))
    unfitted = {name: Engine(shares_kv_loads=False) for name in GENERATIONS.values()}
    today, scatter = str(date.today()), scattered(kernels.read(asked.kernels), entries)
    fitted = runs.fit_points(asked.points, Typical(today, scatter, {}, prior, unfitted, NETWORK, RESERVE, entries, FALLBACK_DEVICE))
    offsets, estimates = runs.estimates(fitted)
    run = runs.run_of(offsets)
    for estimate in estimates:
        print("\n".join(runs.report(estimate)))
    print(run)
    errors = {name: runs.summary(errors) for one in estimates for name, errors in runs.named(one).items()}
    file = Typical(today, scatter, errors, run, runs.engines(fitted, run), NETWORK, RESERVE, entries, FALLBACK_DEVICE)
    if asked.output:
        asked.output.write_text(text(file), encoding="utf-8")
    else:
        sys.stdout.write(text(file))


if __name__ == "__main__":
    main()
