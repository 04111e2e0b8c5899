"""The fit finds the parameters that synthetic points were made with, and those of a published pair of points."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import roofcalc as rc
from tests.shell import refused, rows, run
from tests.tiers import NIGHTLY

LAYERS = {"llama-3.1-8b": 32, "llama-3.1-70b": 80}  # and two all-reduces per layer where tensor parallel
TRUE = {"mbu": 0.81, "mfu": 0.62, "link": 0.55, "latency_us": 9.0, "layer_us": 31.0, "step_us": 420.0}
MEASURED = Path(__file__).with_name("measured.csv")
PAIR = "--point seq=7661,batch=72,interactivity=30 --point seq=775,batch=368,interactivity=30"
ARTICLE = f"fit llama-3.1-405b 8xh100-sxm --weights all=fp8 --network ideal {PAIR}"


def synthetic(folder: Path, true: dict[str, float], noise: float = 0.0, counts: tuple[int, ...] = (1, 2, 8)) -> Path:
    """Points whose steps take the roofline's time at these fractions, and by hand what collectives, layers and the step add."""
    lines = ["model,hardware,n_devices,weights_dtype,kv_dtype,isl,batch_or_concurrency,metric,value"]
    random = np.random.default_rng(7)
    fractions = {name: true[name] for name in ("mbu", "mfu", "link")}
    for model, layers in LAYERS.items():
        for count in counts:
            steps = rc.interactivity(model, f"{count}xh100-sxm", seq=[500, 8000], batch=[1, 16, 128, 512], weights="all=fp8", kv="bf16", **fractions)
            extra = layers * true["layer_us"] + (2 * layers * true["latency_us"] if count > 1 else 0) + true["step_us"]
            for row in steps.rows():
                ms = (float(row["step_ms"]) + extra / 1e3) * float(np.exp(noise * random.standard_normal()))  # type: ignore[arg-type]
                lines.append(f"{model},h100-sxm,{count},fp8,bf16,{row['seq']},{row['batch']},tpot_ms,{ms!r}")
    path = folder / "synthetic.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def one_row(table: rc.Table) -> dict[str, Any]:
    (row,) = table.rows()
    return row


def test_all_six_parameters_are_recovered(tmp_path: Path) -> None:
    row = one_row(rc.fit(synthetic(tmp_path, TRUE)))
    assert {name: row[name] for name in TRUE} == pytest.approx(TRUE, rel=1e-4)
    assert row["points"] == 48 and row["worst_error"] < 1e-6
    assert all(row[f"{name}_error"] < 1e-4 * TRUE[name] for name in TRUE)


@pytest.mark.parametrize("fixed", TRUE if NIGHTLY else ["mbu", "latency_us"])
def test_a_fixed_parameter_stays_and_the_others_are_recovered(tmp_path: Path, fixed: str) -> None:
    row = one_row(rc.fit(synthetic(tmp_path, TRUE), fix=f"{fixed}={TRUE[fixed]}"))
    assert {name: row[name] for name in TRUE} == pytest.approx(TRUE, rel=1e-4)
    assert row[fixed] == TRUE[fixed] and row[f"{fixed}_error"] is None
    wrong = one_row(rc.fit(synthetic(tmp_path, TRUE), fix=[f"{fixed}={TRUE[fixed] * 0.8}"]))
    assert wrong[fixed] == TRUE[fixed] * 0.8 and wrong["worst_error"] > 1e-3


def test_noise_moves_them_by_about_their_uncertainty(tmp_path: Path) -> None:
    row = one_row(rc.fit(synthetic(tmp_path, TRUE, noise=0.03)))
    assert 0.01 < row["median_error"] < 0.03  # the median of |N(0, 0.03)| is 0.020
    for name in ("mbu", "mfu", "layer_us", "step_us"):
        assert abs(row[name] - TRUE[name]) < 4 * row[f"{name}_error"] < TRUE[name], name


def test_what_the_points_do_not_depend_on_is_left_out(tmp_path: Path) -> None:
    alone = {**TRUE, "link": 1.0, "latency_us": 0.0}
    table = rc.fit(synthetic(tmp_path, alone, counts=(1,)))
    row = one_row(table)
    assert row["link"] is None and row["latency_us"] is None
    told = ("mbu", "mfu", "layer_us", "step_us")
    assert [row[name] for name in told] == pytest.approx([TRUE[name] for name in told], rel=1e-4)
    assert any("16 points cannot determine all parameters; assumed: link 1, latency_us 0" in note for note in table.notes)


def test_perfect_hardware_ends_at_the_bounds(tmp_path: Path) -> None:
    perfect = {"mbu": 1.0, "mfu": 1.0, "link": 1.0, "latency_us": 0.0, "layer_us": 0.0, "step_us": 0.0}
    row = one_row(rc.fit(synthetic(tmp_path, perfect)))
    assert row["worst_error"] < 1e-5
    assert (row["mbu"], row["mfu"]) == pytest.approx((1, 1), abs=1e-4) and row["layer_us"] == pytest.approx(0, abs=0.01)


def test_the_published_pair() -> None:
    # Llama 3.1 405B on 8 H100 at 30 tok/s: 72 sequences of 7,661 tokens and 368 of 775, all communication free. Solved independently:
    # bandwidth and compute terms of both equations are linear in 1/mbu and 1/mfu.
    row = rows(ARTICLE)[0]
    assert (round(float(row["mbu"]), 4), round(float(row["mfu"]), 4)) == (0.7706, 0.7163)
    assert row["link"] == row["latency_us"] == row["mbu_error"] == "" and float(row["worst_error"]) < 1e-9
    points = rows(f"{ARTICLE} --residuals")
    assert [(one["seq"], one["batch"], one["measured"]) for one in points] == [("7661", "72", "30"), ("775", "368", "30")]
    assert [float(one["ratio"]) for one in points] == pytest.approx([1, 1])
    back = rc.interactivity(
        "llama-3.1-405b", "8xh100-sxm", weights="all=fp8", network="ideal", seq=7661, batch=72, mbu=float(row["mbu"]), mfu=float(row["mfu"])
    )
    assert back["interactivity_tok_s"][0] == pytest.approx(30)


def test_one_point_tells_one_parameter() -> None:
    table = rc.fit("llama-3.1-8b", "h100-sxm", point="seq=1000,batch=1,interactivity=100")
    row = one_row(table)
    # By hand: 2·8,030,261,248 B less the embedding's 1,050,673,152 and norms, and 1000·131,072 of cache, in 10 ms at 3,350 GB/s.
    assert row["mbu"] == pytest.approx((2 * (8_030_261_248 - 128256 * 4096) + 131_072_000) / 3350e9 / 0.01, rel=1e-3)
    assert row["mfu"] is None and any("1 point cannot determine" in note for note in table.notes)
    faster = rc.fit("llama-3.1-8b", "h100-sxm", point="seq=1000,batch=1,interactivity=1000")  # than the bandwidth allows
    assert one_row(faster)["mbu"] == 1 and any("ended at a bound: mbu 1" in note for note in faster.notes)


def test_generations_as_points() -> None:
    contexts = list(range(1001, 1101))  # of the steps of 100 tokens after a prompt of 1000
    rate = 1e3 / float(np.mean(rc.interactivity("llama-3.1-8b", "h100-sxm", seq=contexts, batch=4, mbu=0.6)["step_ms"]))
    row = one_row(rc.fit("llama-3.1-8b", "h100-sxm", point=f"isl=1000,osl=100,batch=4,interactivity={rate!r}"))
    assert row["mbu"] == pytest.approx(0.6, rel=1e-6)


def test_a_fit_for_each_hardware_model_kind_and_source(tmp_path: Path) -> None:
    head, *lines = MEASURED.read_text().splitlines()
    file = tmp_path / "some.csv"
    file.write_text("\n".join([head, *(line for line in lines if ",L40S-" in line or ",B200-" in line)]))
    each = {row["name"]: row for row in rows(f"fit {file} --by hardware")}
    assert {name: int(row["points"]) for name, row in each.items()} == {"l40s": 12, "b200-sxm": 5}
    # 12 points of one device and dtype, but two models: the cells that they share are filled in.
    assert [each["l40s"][name] for name in ("hardware", "weights", "kv", "model")] == ["l40s", "all=fp8", "fp8", ""]
    assert {row["name"] for row in rows(f"fit {file} --by kind --fix mbu=0.8,mfu=0.6")} == {"dense", "moe"}
    assert {row["model"] for row in rows(f"fit {file} --by model --residuals")} == {"gpt-j-6b", "llama-2-7b", "deepseek-r1"}


def test_the_columns_are_the_contract() -> None:
    # The contract, copied from it: then what is assumed, then what was added.
    expected = "model,hardware,weights,kv,mbu,mfu,link,latency_us,layer_us,step_us,points,median_error,worst_error,assume,overlap,network,"
    header = run(f"{ARTICLE} -f csv").stdout.splitlines()[0]
    assert header.startswith(expected)
    found = json.loads(run(f"{ARTICLE} -f json").stdout)["rows"][0]
    assert ",".join(found) == header and (found["assume"], found["network"], found["tp"], found["mbu_error"]) == ("roofline", "ideal", 8, None)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("fit nothing.csv", "nothing.csv: cannot be read"),
        ("fit llama-3.1-8b h100-sxm", "a model and hardware need --point"),
        ("fit a b c", "expected a file, or a model and hardware; got 3 arguments"),
        ("fit llama-3.1-8b --point seq=1,batch=1,interactivity=1", "--point needs a model and hardware"),
        ("fit llama-3.1-8b h100-sxm --point seq=1000,batch=1", "point 1: interactivity is missing"),
        ("fit llama-3.1-8b h100-sxm --point seq=1k,isl=1,osl=1,batch=1,interactivity=1", "point 1: give either seq, or isl and osl"),
        ("fit llama-3.1-8b h100-sxm --point isl=1,batch=1,interactivity=1", "point 1: osl is missing"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1.5,interactivity=1", "point 1: batch: expected a whole number"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1,interactivity=0", "point 1: interactivity: expected"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1,speed=2", "point: cannot read 'speed=2'"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1,interactivity=1,batch=2", "--point: batch is given twice"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1,interactivity=1 --fix mbo=1", "fix: cannot read 'mbo=1'; did you mean mbu"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1,interactivity=1 --fix mbu=2", "fix mbu: expected 1e-06 to 1, got 2"),
        ("fit llama-3.1-8b h100-sxm --point seq=1,batch=1,interactivity=1 --by kind", "--by: only for a file of points"),
        ("fit llama-9 h100-sxm --point seq=1,batch=1,interactivity=1", "unknown model 'llama-9'"),
    ],
)
def test_what_cannot_be_fitted_is_told_in_a_line(line: str, complaint: str) -> None:
    assert complaint in refused(line)


def test_options_that_a_file_answers_itself(tmp_path: Path) -> None:
    path = synthetic(tmp_path, TRUE, counts=(1,))
    assert "--weights, --tp: given by the file's columns" in refused(f"fit {path} --weights all=fp8 --tp 8")
    assert "--by: invalid choice 'colour' (choose from hardware, model, kind, source)" in refused(f"fit {path} --by colour")
    with pytest.raises(rc.RoofcalcError, match=r"--mbu: fitted here; hold it at a value with --fix mbu=…"):
        rc.fit(path, mbu=0.8)
    path.write_text("model,hardware,metric,value\nx,y,z,1\n")
    assert "none of its 1 points can be compared" in refused(f"fit {path}")
