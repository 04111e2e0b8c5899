"""Tables that are drawn, and the text that a chart shows."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

import roofcalc as rc
from roofcalc.report import columns
from roofcalc.report.plots.kinds import plot
from roofcalc.report.plots.save import rendered
from roofcalc.report.table import Block, Column, Table

LLAMA_405B, H100 = "llama-3.1-405b", "8xh100-sxm"
FRONTIER = [(2, 4, 512, 10.0, 640.0), (4, 2, 128, 30.0, 480.0), (8, 1, 32, 60.0, 240.0), (8, 1, 1, 100.0, 12.5)]  # tp, pp, batch, tok/s, tok/s


def frontier(points: list[dict[str, Any]] | None = None) -> Table:
    """A frontier in the columns that the command line promises, its rows from slow to fast."""
    layout = [Column(name, name, "", "", "count") for name in ("tp", "pp", "dp", "ep", "dcp")]
    shown = (
        *columns.CASE,
        columns.SEQ,
        *layout,
        columns.BATCH,
        columns.INTERACTIVITY,
        columns.PER_DEVICE,
        columns.LIMITED_BY,
        *columns.FRONTIER_DISAGGREGATED,
    )
    assumed = [column for column in columns.ASSUMED if column.name not in ("tp", "pp", "dp", "ep", "dcp")]
    table = Table("frontier", (*shown, *assumed))
    names = ("tp", "pp", "batch", "interactivity_tok_s", "throughput_tok_s_per_device")
    fixed = {"model": "llama-3.1-70b", "weights": "all=fp8", "kv": "bf16", "seq": 8000, "overlap": "op", "dp": 1, "ep": 1, "dcp": 1}
    for hardware in ("8xh100-sxm", "8xh200-sxm") if points is None else ("",):
        for row in points or [{**dict(zip(names, one, strict=True)), "hardware": hardware} for one in FRONTIER]:
            table.blocks.append(Block(1, {**fixed, "limited_by": "bandwidth", **row}))
    return table


TABLES: dict[str, Callable[[], Table]] = {
    "max-batch": lambda: rc.max_batch(LLAMA_405B, H100, weights="all=fp8"),
    "max-batch of four": lambda: rc.max_batch([LLAMA_405B, "llama-3.1-70b"], [H100, "8xmi300x"], weights="all=fp8", interactivity=30),
    "max-batch that is 0": lambda: rc.max_batch([LLAMA_405B, "llama-3.1-70b"], H100, interactivity=[20, 60]),
    "max-batch of generations": lambda: rc.max_batch("llama-3.1-70b", H100, isl=[1000, 8000, 32000], osl=[200, 1000], weights="all=fp8"),
    "max-batch over a figure": lambda: rc.max_batch(
        "llama-3.1-70b", H100, seq=8000, weights="all=fp8", changes="hardware.memory.bandwidth_gb_s=1000:6000:500"
    ),
    "memory": lambda: rc.memory(LLAMA_405B, H100, weights="all=fp8", batch=32),
    "memory of two machines": lambda: rc.memory(LLAMA_405B, [H100, "8xh200-sxm"], weights="all=fp8", batch=[1, 8, 32]),
    "memory of three models": lambda: rc.memory(["llama-3.1-70b", "gemma-3-27b", "deepseek-v3"], "8xh200-sxm", weights="all=fp8", batch=16),
    "memory at crowded contexts": lambda: rc.memory(LLAMA_405B, H100, weights="fp8", batch=32, seq="775,800,1000,1024,4096,7661,8000,14173,38752"),
    "interactivity": lambda: rc.interactivity(LLAMA_405B, H100, weights="all=fp8"),
    "interactivity of four": lambda: rc.interactivity([LLAMA_405B, "deepseek-v3"], ["8xh200-sxm", "8xmi300x"], weights="all=fp8", batch=32),
    "interactivity over batch": lambda: rc.interactivity(LLAMA_405B, H100, weights="all=fp8", seq=8000, tp=[4, 8]),
    "flops": lambda: rc.flops(LLAMA_405B, H100, weights="all=fp8", batch=128, interactivity=30),
    "flops of models alone": lambda: rc.flops([LLAMA_405B, "falcon-mamba-7b", "gemma-3-27b"]),
    "ops": lambda: rc.ops("deepseek-v3", "8xh200-sxm", seq=16000, batch=64),
    "ops of four": lambda: rc.ops(["llama-3.1-70b", "deepseek-v3"], ["8xh200-sxm", "8xmi300x"], weights="all=fp8", seq=16000, batch=49),
    "ops of a prefill": lambda: rc.ops("llama-3.1-70b", H100, weights="all=fp8", seq=8000, phase="prefill"),
    "vote": lambda: rc.vote(LLAMA_405B, H100, weights="all=fp8", streams=[1, 5, 25], prefix="0:16k:4k", suffix=1000),
    "vote with chances": lambda: rc.vote("llama-3.1-70b", H100, weights="all=fp8", streams=[1, 3, 5, 9, 25], prefix=2000, suffix=2000, accuracy=0.6),
    "frontier": frontier,
    "frontier of two machines": lambda: rc.frontier("deepseek-v3", ["8xh200-sxm", "8xmi300x"], seq=4000),
    "frontier of generations": lambda: rc.frontier("llama-3.1-70b", H100, weights="all=fp8", kv=["bf16", "fp8"], isl=4000, osl=1000),
}


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen."""
    found = [one for one in figure.findobj(Text) if isinstance(one, Text) and one.get_visible() and one.get_text().strip()]
    ticks = {label for axes in figure.axes for label in (*axes.get_xticklabels(), *axes.get_yticklabels())}
    return [one for one in found if one not in ticks or _is_shown(figure, one)]


def _is_shown(figure: Figure, label: Text) -> bool:
    """Whether a tick's number stands beside its axes, and not at a place that they do not reach."""
    axes = next(one for one in figure.axes if label in (*one.get_xticklabels(), *one.get_yticklabels()))
    x, y = label.get_position()
    across = label in axes.get_xticklabels()
    (low, high), at = (axes.get_xlim(), x) if across else (axes.get_ylim(), y)
    return low <= at <= high


def svg_texts(svg: bytes) -> list[str]:
    return ["".join(one.itertext()) for one in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def said(table: Table) -> str:
    return "\n".join(svg_texts(rendered(plot(table), "svg")))


@lru_cache
def said_of(name: str) -> str:
    """The text of the chart of one of TABLES."""
    return said(TABLES[name]())
