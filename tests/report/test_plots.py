"""Charts: what their text says, that nothing overlaps, and what is refused."""

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roofcalc as rc
from roofcalc.commands.prefill import prefill
from roofcalc.measurements.speeds import of_models, speeds
from roofcalc.report.plots.kinds import KINDS, plot
from roofcalc.report.plots.lines import lines
from roofcalc.report.plots.margin import GAP, spread
from roofcalc.report.plots.ops import _points, _roofs
from roofcalc.report.plots.save import rendered
from roofcalc.report.plots.style import look
from roofcalc.report.table import Block, Table
from tests.report.plot_cases import H100, LLAMA_405B, TABLES, frontier, said, said_of, svg_texts, texts
from tests.shell import LLAMA, refused, run


def test_memory_draws_the_published_limits() -> None:
    # 8 x 80 GB; less 405.9 GB of fp8 weights: 234.1 GB; over 32 x 516,096 bytes per token: 14,173 tokens (as the README shows)
    text = said_of("memory")
    for part in (
        "What fills the memory?",
        "640 GB: memory",
        "234.1 GB: left by weights",
        "full at 14,173 tokens",
        "context (tokens)",
        "KV cache (GB)",
    ):
        assert part in text
    assert "llama-3.1-405b on 8xh100-sxm, all=fp8 weights, bf16 KV, batch 32" in text and "tp 8" in text and "hollow ones do not" in text
    levels = {round(float(line.get_ydata()[0]), 1) for line in plot(TABLES["memory"]()).axes[0].lines if len(set(line.get_ydata())) == 1}  # type: ignore[arg-type,index]
    assert {640.0, 234.1} <= levels


def test_memory_names_each_machines_limits() -> None:
    text = said_of("memory of two machines")
    assert "640 GB: memory" in text and "1,128 GB: memory" in text  # 8 x 141 GB
    assert "batch 32: full at 14,173 tokens (8xh100-sxm); full at" in text
    assert len(plot(TABLES["memory of two machines"]()).legends[0].get_texts()) == 3  # caches are the same on both


def test_one_context_is_drawn_as_bars() -> None:
    # 8 x 80 and 8 x 141 GB; 405.9 GB of weights and 32 x 7,661 x 516,096 bytes of cache
    table = rc.memory("llama-3.1-405b", ["8xh100-sxm", "8xh200-sxm"], weights="all=fp8", seq=7661, batch=32)
    figure = plot(table)
    widths = [round(patch.get_width(), 1) for patch in figure.axes[0].patches]  # type: ignore[attr-defined]
    assert widths == [405.9, 405.9, 126.5, 126.5]
    marks = [float(line.get_xdata()[0]) for line in figure.axes[0].lines]  # type: ignore[arg-type,index]
    assert marks == pytest.approx([640, 1128])
    text = said(table)
    assert "532.4 of 640 GB" in text and "532.4 of 1,128 GB" in text and "KV cache and states" in text and "activations" not in text
    full = rc.memory("llama-3.1-405b", "8xh100-sxm", weights="all=fp8", seq=7661, batch=72)
    assert "690.6 GB: 50.59 GB too much" in said(full)


def test_measured_points_over_a_frontier(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    head = "model,hardware,n_devices,tp,weights_dtype,engine,isl,osl,batch_or_concurrency,metric,value"
    rows = ("tok_s_user,41", "tpot_ms,20", "output_tok_s_total,4000", "ttft_ms,300")
    file.write_text("\n".join([head, *(f"llama-3.1-70b,8xh100-sxm,8,8,fp8,vLLM,1000,1000,64,{row}" for row in rows)]))
    found, left_out = speeds(file)
    pairs = [(one.interactivity_tok_s, one.throughput_tok_s_per_device) for one in found]
    assert left_out == 1 and np.allclose(pairs, [(41, 41 * 64 / 8), (50, 50 * 64 / 8), (4000 / 64, 4000 / 8)])
    figure = plot(frontier(), found)
    assert any(list(line.get_xdata()) == [41, 50, 62.5] for line in figure.axes[0].lines)  # type: ignore[arg-type]
    with pytest.raises(rc.RoofcalcError, match="over a frontier, not over memory"):
        plot(TABLES["memory"](), found)
    others = of_models([*found, found[0]._replace(model="qwen3-8b")], {"llama-3.1-70b"})
    assert others == found and of_models(found, {"qwen3-8b"}) == found  # all, where there are none of the model
    file.write_text(f"{head}\nllama-3.1-70b,8xh100-sxm,8,8,fp8,vLLM,1000,1000,64,ttft_ms,300")
    assert "no row of" in refused(f"plot frontier {LLAMA} --points {file} -o {tmp_path / 'a.svg'}")


def test_max_batch_draws_both_limits_and_what_was_asked() -> None:
    text = said_of("max-batch")
    for part in (
        "fits the memory",
        "is fast enough",
        "30 asked for",
        "largest batch",
        "(sequences)",
        "interactivity",
        "(tok/s/user)",
        "128k",
        "Hollow",
    ):
        assert part in text
    batch, speed = plot(TABLES["max-batch"]()).axes
    drawn_lines = [np.asarray(line.get_ydata(), dtype=float) for line in batch.lines]
    # the README's column: capacity is the limit from 2,000 tokens on
    assert any(line.tolist() == [366, 226, 113, 56, 28, 14, 7, 3] for line in drawn_lines)
    assert any(set(np.asarray(line.get_ydata(), dtype=float)) == {30.0} for line in speed.lines)
    assert "A cross on the axis: not even one sequence." in said_of("max-batch that is 0")


def test_flops_draws_its_limit() -> None:
    table = TABLES["flops"]()
    (limit,) = set(table["flop_limited_seq"])
    text = said(table)
    assert f"FLOP limit at {int(limit):,} tokens" in text and "FLOPs of one token (GFLOP)" in text and "Vertical lines" in text
    assert "attention" in text and "products by weights" in text and "batch 128, at least 30 tok/s/user" in text
    upright = [line for line in plot(table).axes[0].lines if list(line.get_xdata()) == [limit, limit]]  # type: ignore[arg-type]
    assert len(upright) == 1
    assert ", far outside" in said(rc.flops(LLAMA_405B, H100, weights="all=fp8", interactivity=30))
    # 8e11 FLOPs a token, 10,000 sequences, 30 tok/s: 2.4e17 FLOP/s against 1.6e16
    assert "total: over the FLOP limit at any context" in said(rc.flops(LLAMA_405B, H100, weights="all=fp8", interactivity=30, batch=10_000))


def test_interactivity_names_each_batch_beside_its_line() -> None:
    text = said_of("interactivity").splitlines()
    assert [line for line in text if line.startswith("batch ")] == [f"batch {2**n}" for n in range(9)]
    assert "Hollow marks and thin lines: the batch does not fit in memory." in text
    assert "batch" in said_of("interactivity over batch").splitlines()


def test_rooflines_are_the_data_sheets() -> None:
    # H100 SXM: 3.35 TB/s, 1,978.9 TFLOP/s in fp8 and 989.4 in bf16, dense
    text = said(rc.ops(LLAMA_405B, H100, weights="all=fp8", seq=8000, batch=32))
    for part in ("fp8: 1,979 TFLOP/s", "bf16: 989.4 TFLOP/s", "3.35 TB/s", "intensity (FLOP per byte of memory traffic)", "attention: 23.9%"):
        assert part in text
    assert "attained by one device (TFLOP/s)" in text and "The network, which has no mark, accounts for 3.2%." in text


def test_what_has_no_mark_and_roofs_that_are_calibrated() -> None:
    table = rc.ops(LLAMA_405B, H100, weights="all=fp8", seq=8000, batch=32, assume="typical")
    marked = sum(point.share for point in _points(0, list(table.rows())))
    text = " ".join(said(table).splitlines())
    network, overhead = (float(re.findall(rf"The {what}, which has no mark, accounts for ([\d.]+)%", text)[0]) for what in ("network", "overhead"))
    small = float(re.findall(r"The small kernels, which have no mark, account for ([\d.]+)%", text)[0])
    assert 100 * marked + network + overhead + small == pytest.approx(100, abs=0.3)
    assert "Roofs are the device's; kernels of the preset stay below them." in text


@pytest.mark.parametrize("overlap", ["op", "none", "full", "net"])
@pytest.mark.parametrize(("mbu", "mfu"), [(1, 1), (0.7, 0.6)])
@pytest.mark.parametrize("phase", ["decode", "prefill"])
def test_every_operation_lies_under_its_roof(overlap: str, mbu: float, mfu: float, phase: str) -> None:
    rows = list(rc.ops("deepseek-v3", "8xh200-sxm", seq=4000, batch=64, overlap=overlap, mbu=mbu, mfu=mfu, phase=phase).rows())
    roofs = {roof.format: roof for roof in _roofs(rows)}
    assert {name: (roof.tb_s, roof.tflop_s) for name, roof in roofs.items()} == {
        "fp8": (4.8, pytest.approx(1978.9)),
        "bf16": (4.8, pytest.approx(989.4)),
    }
    points = _points(0, rows)
    assert sum(point.share for point in points) == pytest.approx(sum(float(row["share"] or 0) for row in rows if row["gflop"]))
    for point in points:
        roof = min(roofs[point.format].tflop_s, point.flop_per_byte * roofs[point.format].tb_s)
        reached = point.tflop_s / roof
        if overlap == "none":
            assert 0 < reached < max(mbu, mfu)  # compute and memory one after the other
        else:
            assert min(mbu, mfu) * 0.999 <= reached <= max(mbu, mfu) * 1.001


def test_ops_tell_the_format_of_each_operation() -> None:
    found = {row["op"]: row["format"] for row in rc.ops("deepseek-v3", "8xh200-sxm", seq=4000, batch=64).rows()}
    # the checkpoint is fp8 but for router and head; the cache is 16-bit; messages compute nothing
    assert (found["moe.expert_up"], found["moe.router"], found["head"], found["moe.attention"]) == ("fp8", "bf16", "bf16", "bf16")
    assert found["moe.all_reduce"] is None
    each = {row["op"]: row["format"] for row in rc.ops("llama-3.1-8b", "h100-sxm", seq=4000, kv="fp8", per_layer=True).rows()}
    assert each["31.block.attention"] == "fp8" and each["0.block.qkv"] == "bf16" and len(each) == 32 * 5 + 1


def test_vote_shows_shared_and_unshared() -> None:
    text = said_of("vote")
    assert {"1 stream", "5 streams", "25 streams", "prefix (tokens)"} <= set(text.splitlines()) and "Filled marks share the prefix" in text
    chances = said_of("vote with chances").splitlines()
    assert {"one is right", "most are right", "streams"} <= set(chances) and "verifier's is right" not in chances


def test_frontier_has_a_curve_for_each_machine() -> None:
    figure = plot(frontier())
    text = "\n".join(svg_texts(rendered(figure, "svg")))
    assert len([line for line in figure.axes[0].lines if len(np.asarray(line.get_xdata())) == 4]) == 2
    for part in (
        "8xh200-sxm",
        "tp 8, batch 1",
        "tp 4 pp 2, batch 128",
        "throughput of one device (tok/s)",
        "interactivity (tok/s/user)",
        "8k tokens",
    ):
        assert part in text


def test_a_curve_may_look_through_sizes_and_precisions() -> None:
    ways = [("8xh200-sxm", "bf16", 9.0, 700.0), ("16xh200-sxm", "fp8", 50.0, 400.0), ("64xh200-sxm", "fp8", 90.0, 100.0)]
    rows = [
        {"tp": 8, "pp": 1, "batch": 64, "hardware": hardware, "kv": kv, "interactivity_tok_s": x, "throughput_tok_s_per_device": y}
        for hardware, kv, x, y in ways
    ]
    figure = plot(frontier(rows))
    text = "\n".join(svg_texts(rendered(figure, "svg")))
    assert [len(np.asarray(line.get_xdata())) for line in figure.axes[0].lines] == [3] and not figure.legends
    assert "several sizes of h200-sxm" in text and "tp 8, batch 64, 64xh200-sxm, fp8 KV" in text
    racks = [{**row, "hardware": name} for row, name in zip(rows, ("8 of gb200-nvl72", "gb200-nvl72", "2xgb200-nvl72"), strict=True)]
    pools = plot(frontier([{**row, "prefill_devices": 8} for row in racks]))
    assert [len(np.asarray(line.get_xdata())) for line in pools.axes[0].lines] == [3]
    text = "\n".join(svg_texts(rendered(pools, "svg")))
    assert "several sizes of gb200-nvl72" in text and "Separate prefill and decode pools" in text
    slower = [
        *rows,
        {**rows[0], "interactivity_tok_s": 4.0},
        {**rows[0], "interactivity_tok_s": None, "batch": 0},
    ]  # a second curve, and nothing that fits
    assert [len(np.asarray(line.get_xdata())) for line in plot(frontier(slower)).axes[0].lines] == [3, 1]
    with pytest.raises(rc.RoofcalcError, match="no point fits"):
        plot(frontier([{**rows[0], "interactivity_tok_s": None}]))


def test_lines_differ_without_colour() -> None:
    looks = [(repr(look(place)["linestyle"]), look(place)["marker"]) for place in range(24)]
    assert len(set(looks)) == 24
    for one, other in pairwise(range(24)):
        assert all(look(one)[part] != look(other)[part] for part in ("color", "linestyle", "marker"))


def labels(table: Table, *across: str) -> list[str]:
    return [line.label for line in lines(table, across or ("seq", "batch")).each]


def test_lines_are_told_apart_by_what_differs() -> None:
    assert labels(rc.memory("llama-3.1-8b", "h100-sxm")) == [""]
    assert labels(rc.memory("llama-3.1-8b", "h100-sxm", kv=["bf16", "fp8"])) == ["bf16 KV", "fp8 KV"]
    two = rc.memory(["llama-3.1-8b", "qwen3-8b"], ["h100-sxm", "h200-sxm"], batch=[1, 8], seq=[1000, 2000])
    assert labels(two)[:2] == ["llama-3.1-8b on h100-sxm, batch 1", "llama-3.1-8b on h100-sxm, batch 8"] and len(labels(two)) == 8
    assert labels(rc.interactivity("llama-3.1-70b", H100, batch=8, tp=[4, 8])) == ["tp 4", "tp 8"]  # pp follows from it
    swept = rc.interactivity(
        "llama-3.1-8b", "h100-sxm", seq=1000, batch=1, changes=["hardware.memory.bandwidth_gb_s=1000:3000:1000", "model.hidden=4096"]
    )
    found = lines(swept, ("seq", "batch"))
    assert (found.axis.label, found.x.tolist()) == ("hardware.memory.bandwidth_gb_s", [1000, 2000, 3000]) and "1k tokens, batch 1" in found.shared
    prompts = lines(TABLES["max-batch of generations"](), ("seq", "min_interactivity_tok_s"))
    assert prompts.axis.label == "prompt (tokens)" and [line.label for line in prompts.each] == ["200 out", "1k out"]


def test_names_are_not_formulas() -> None:
    table = rc.memory("llama-3.1-8b", "h100-sxm")
    odd = Table("memory", table.columns)
    odd.blocks = [Block(block.size, {**block.values, "model": "a$b$_<i>&c"}) for block in table.blocks]
    assert "a$b$_<i>&c on h100-sxm" in said(odd)


def test_the_users_settings_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    table = TABLES["memory"]()
    plainly = rendered(plot(table), "svg")
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 31.0)
    monkeypatch.setitem(matplotlib.rcParams, "svg.fonttype", "path")
    monkeypatch.setitem(matplotlib.rcParams, "axes.facecolor", "black")
    assert rendered(plot(table), "svg") == plainly
    assert matplotlib.rcParams["font.size"] == 31.0


def test_notes_go_to_standard_error(tmp_path: Path) -> None:
    result = run(f"plot max-batch {LLAMA} -o {tmp_path / 'a.svg'}")
    assert result.stderr == "note: interactivity: at least 30 tok/s for each user (--interactivity)\n"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (f"plot memory {LLAMA}", "--output: name a file for the chart, such as -o memory.svg"),
        (f"plot memory {LLAMA} -o ''", "--output: the file name is empty"),
        (f"plot memory {LLAMA} -o a.jpg", "--output: 'a.jpg' must end in .svg or .png or .pdf"),
        (f"plot memory {LLAMA} -o a.pgn", "did you mean png?"),
        (f"plot interactivity {LLAMA} --seq 4k --batch 8 -o a.svg", "a line needs at least two points; give several values of --"),
        (f"plot memory {LLAMA} --batch 1:25:1 -o a.svg", "25 lines are too many for one chart; request at most 24"),
        (f"plot ops {LLAMA} -o a.svg", "8 cases are too many for one roofline chart; at most 4"),
        (f"plot memry {LLAMA} -o a.svg", "did you mean memory?"),
        ("plot memory nope 8xh100-sxm -o a.svg", "nope"),
        (f"plot memory {LLAMA} --seq x -o a.svg", "not a number"),
        (f"plot memory {LLAMA} -o no/such/folder/a.svg", "cannot be written"),
    ],
)
def test_what_makes_no_picture(line: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert complaint in refused(line)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_a_line_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert refused(f"plot memory {LLAMA} -o {tmp_path / 'a.svg'}") == "error: charts need matplotlib: pip install 'roofcalc[plot]'\n"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(rc.RoofcalcError, match="pip install"):
        rc.plot(TABLES["memory"]())


def test_tables_without_a_chart_and_devices_without_a_peak(tmp_path: Path) -> None:
    with pytest.raises(rc.RoofcalcError, match="`prefill` has no chart; commands with charts: max-batch"):
        rc.plot(prefill("llama-3.1-8b", "h100-sxm"))
    path = tmp_path / "bare.yaml"
    path.write_text("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    assert "nothing to draw" in refused(f"plot ops llama-3.1-8b {path} --seq 1k -o a.svg")
    text = said(rc.max_batch("llama-3.1-8b", str(path)))
    assert "fits the memory" in text and "is fast enough" not in text


def test_every_kind_belongs_to_a_command() -> None:
    from roofcalc.cli.commands import COMMANDS
    from roofcalc.cli.groups import GROUPS

    assert set(GROUPS["plot"].commands()) == set(KINDS) & set(COMMANDS) >= {"max-batch", "memory", "interactivity", "flops", "ops", "vote"}
    assert {re.sub(r" .*", "", name) for name in TABLES} == set(KINDS)


def test_a_plots_options_are_its_commands() -> None:
    def flags(line: str) -> set[str]:
        return set(re.findall(r"--[a-z-]+", run(line).stdout.split("Examples:")[0]))

    for name in ("max-batch", "ops", "vote"):
        assert flags(f"{name} --help") - flags(f"plot {name} --help") == {"--format", "--columns", "--require", "--unit"}
        assert flags(f"plot {name} --help") <= flags(f"{name} --help")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 300), st.floats(5, 30)), min_size=1, max_size=8))
def test_spread_keeps_labels_apart_in_order_and_near(placed: list[tuple[float, float]]) -> None:
    placed.sort()
    wanted, heights = [y for y, _ in placed], [height for _, height in placed]
    found = spread(wanted, heights, -1000, 2000)
    needed = [(one + other) / 2 + GAP for one, other in pairwise(heights)]
    assert all(b - a >= least - 1e-6 for (a, b), least in zip(pairwise(found), needed, strict=True))
    if all(b - a >= least for (a, b), least in zip(pairwise(wanted), needed, strict=True)):
        assert found == pytest.approx(wanted)

    def moved(places: Any) -> float:
        return float(sum((a - b) ** 2 for a, b in zip(places, wanted, strict=True)))

    shifted = [[y + step for y in found] for step in (-0.5, 0.5)]  # a whole that may move is where its squares are least
    assert all(moved(found) <= moved(other) + 1e-6 for other in shifted)
    inside = spread(wanted, heights, 0, 400)
    assert inside[0] - heights[0] / 2 >= -1e-6


def test_a_device_without_times_still_has_its_other_figures(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text("name: bare\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 10}\n")
    figure = plot(rc.interactivity("llama-3.1-8b", ["h100-sxm", str(path)], seq=[1000, 4000], batch=1))
    shown = [one.get_text() for one in texts(figure)]
    assert "h100-sxm" in shown and "bare" not in shown and any("so no times: bare." in text for text in shown)
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    assert all(np.isfinite(one.get_window_extent(renderer).x0) for one in texts(figure))
