"""Fitting and judging kernel models: recovery of known constants, tables good and bad, and a sample of kernels that no fit has seen."""

import csv
from pathlib import Path

import numpy as np
import pytest

from roofcalc.errors import RoofcalcError
from roofcalc.physics.kernels.gemm import GemmParameters, gemm_s
from roofcalc.physics.kernels.profile import FILE, fits, parameters, parsed
from tools.calibrate.__main__ import main
from tools.calibrate.devices import facts_of, has_sheet, sheet
from tools.calibrate.fit import fit, fitted, rounded
from tools.calibrate.judge import judge
from tools.calibrate.registry import SUBJECTS
from tools.calibrate.subjects_attention import DECODE
from tools.calibrate.subjects_products import GEMM, routing_of
from tools.calibrate.tables import kept_aside, read_table
from tools.calibrate.write import head_of, section, written

SAMPLE = Path(__file__).with_name("kernels_aside")
COLUMNS = ["device", "engine", "gemm_dtype", "kernel_source", "m", "n", "k", "us"]


def write(folder: Path, name: str, rows: list[dict[str, object]]) -> None:
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)


def gemm_rows(device: str = "h100-sxm", engine: str = "tensorrt-llm", dtype: str = "bfloat16", factor: float = 1.0) -> list[dict[str, object]]:
    """Products whose times are those of the packaged constants, times `factor`."""
    facts = facts_of(device, "bf16", fits())
    record, _ = parameters(GemmParameters, "gemm", device, facts, engine, dtype, "torch_flow")
    rows: list[dict[str, object]] = []
    for m in (1, 16, 130, 700, 4096):
        for n, k in ((1024, 4096), (8192, 8192), (512, 7168)):
            seconds = float(gemm_s(record, facts, m, n, k, repeated=True))
            values = (device, engine, dtype, "torch_flow", m, n, k, seconds * 1e6 * factor)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


# Fits


def test_a_fit_recovers_known_constants() -> None:
    """Times of known constants, far from where a fit starts, with 3 % of noise: floor and fractions come back within a tenth."""
    random = np.random.default_rng(5)
    true = GemmParameters(
        t0_us=15, compute=0.35, bandwidth=0.5, small_tile=0.2, wave_us=0.5, quantise_bandwidth=0.15, copies=5, feed_gb_s=150, split_us=5
    )
    sizes = 2.0 ** random.uniform(0, 14, size=(600, 3))
    facts = facts_of("h100-sxm", "fp8", fits())
    prepared = {"m": np.rint(sizes[:, 0]), "n": np.rint(sizes[:, 1]), "k": np.rint(sizes[:, 2]), "weight_bytes": 1.0, "activation_bytes": 1.0}
    us = GEMM.seconds(true, facts, prepared) * 1e6 * np.exp(0.03 * random.normal(size=600))
    found = GemmParameters(*fit(GEMM, facts, prepared, us, np.array(GEMM.start), np.array(GEMM.spread)))
    for name in ("t0_us", "compute", "bandwidth", "quantise_bandwidth"):
        assert getattr(found, name) == pytest.approx(getattr(true, name), rel=0.1), name
    error = np.log(GEMM.seconds(found, facts, prepared) * 1e6 / us)
    assert np.median(np.abs(error)) < 0.03


def test_a_few_wild_times_do_not_move_a_fit() -> None:
    """One time in twenty ten times too long: the soft loss leaves floor and bandwidth where they were."""
    random = np.random.default_rng(6)
    true = (9, 0.3, 0.75, 1, 256, 30, 3, 2)
    count = 400
    prepared = {
        "sequences": np.rint(2 ** random.uniform(0, 10, count)), "entries": np.rint(2 ** random.uniform(2, 15, count)),
        "query_heads": 32.0, "kv_heads": 8.0, "entry_bytes": 512.0, "entry_flops": 512.0,
    }  # fmt: skip
    facts = facts_of("h200-sxm", "bf16", fits())
    us = DECODE.seconds(DECODE.record(*true), facts, prepared) * 1e6 * np.exp(0.03 * random.normal(size=count))
    us[::20] *= 10
    found = fit(DECODE, facts, prepared, us, np.array(DECODE.start), np.array(DECODE.spread))
    assert found[0] == pytest.approx(true[0], rel=0.1)
    assert found[2] == pytest.approx(true[2], rel=0.1)


def test_three_digits() -> None:
    assert rounded(np.array([0.123456, 12345.6])) == (0.123, 12300)


def test_an_architecture_shares_its_constants_where_its_devices_agree(tmp_path: Path) -> None:
    """H100 and H200 made with the same constants get one set; a device at half the speed gets its own, and the file reads back."""
    facts = {device: facts_of(device, "bf16", fits()) for device in ("h100-sxm", "h200-sxm")}
    constants = GemmParameters(3, 0.8, 0.8, 0.1, 0.2, 0.5, 10, 150, 4)
    random = np.random.default_rng(7)
    for slower, expected in ((1.0, ["hopper"]), (2.0, ["h100-sxm", "h200-sxm", "hopper"])):
        rows: list[dict[str, object]] = []
        for device, own in facts.items():
            for m, n, k in np.rint(2 ** random.uniform(2, 13, size=(200, 3))):
                us = float(gemm_s(constants, own, m, n, k, repeated=True)) * 1e6 * (slower if device == "h200-sxm" else 1)
                rows.append(dict(zip(COLUMNS, (device, "vllm", "bfloat16", "linear", m, n, k, us), strict=True)))
        write(tmp_path, "gemm", rows)
        columns = read_table(tmp_path, "gemm")
        assert columns is not None
        found = list(fitted(GEMM, GEMM.rows(columns), fits()))
        assert sorted(one.device for one in found) == expected
        text = written(head_of(FILE.read_text(encoding="utf-8")), ["kernels:", *section(GEMM, found)])
        assert sorted(parsed(text, "here").values["gemm"][("vllm", "bfloat16", "linear")]) == expected


# Tables


def test_a_fifth_of_the_shapes_is_kept_aside_whatever_the_device() -> None:
    sizes = np.arange(1, 2001, dtype=float)
    columns = {"m": np.concatenate([sizes, sizes]), "n": np.full(4000, 64.0), "device": np.repeat(["a", "b"], 2000)}
    aside = kept_aside(columns, ("m", "n"))
    assert aside.mean() == pytest.approx(0.2, abs=0.03)
    assert (aside[:2000] == aside[2000:]).all()


def test_bad_tables_are_one_line_and_exit_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", str(tmp_path / "missing")]) == 2
    assert main(["judge", str(tmp_path)]) == 2
    (tmp_path / "gemm.csv").write_text(",".join(COLUMNS) + "\nh100-sxm,vllm,fp8,x,12,many,4,5\n", encoding="utf-8")
    assert main(["judge", str(tmp_path)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3
    assert "not a folder" in errors[0]
    assert "no table of timed kernels" in errors[1]
    assert "column n holds something that is not a number" in errors[2]
    (tmp_path / "gemm.csv").write_text("m,n\n1\n", encoding="utf-8")
    with pytest.raises(RoofcalcError, match="line 2 has 1 cells where the header has 2"):
        read_table(tmp_path, "gemm")


# Judge


def test_a_known_factor_is_the_bias(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Measured a tenth longer than predicted: ln(1/1.1) = −0.0953 in every row."""
    write(tmp_path, "gemm", gemm_rows(factor=1.1))
    assert main(["judge", str(tmp_path), "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "kind,group,count,median_ln,p90_ln,bias"
    assert lines[1] == "gemm,all,15,0.0953,0.0953,-0.0953"
    assert lines[2] == "gemm,m<=1024,12,0.0953,0.0953,-0.0953"
    assert lines[3] == "gemm,tensorrt-llm/h100-sxm/bfloat16,15,0.0953,0.0953,-0.0953"


def test_unknown_engines_formats_and_devices_do_not_stop_a_judgement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = gemm_rows()
    changes = {"device": ("gb300", "mi300x", "nobody-9000"), "engine": ("tomorrow",), "gemm_dtype": ("fp3",), "kernel_source": ("new",)}
    for place, (title, value) in enumerate((title, value) for title, values in changes.items() for value in values):
        rows[place][title] = value
    rows[6]["us"], rows[7]["us"] = 0, ""
    write(tmp_path, "gemm", rows)
    assert main(["judge", str(tmp_path), "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert "gemm,all,12," in out  # the unknown device, a zero and an empty time are not judged
    assert "gemm,tensorrt-llm/gb300/bfloat16,1," in out
    assert "left out: 1 rows of gemm: devices outside of hardware/" in err
    assert "nobody-9000" in err


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = gemm_rows()
    for row in rows[:5]:
        row["engine"], row["gemm_dtype"] = "vllm", "fp8_block"
    write(tmp_path, "gemm", rows)
    assert main(["judge", str(tmp_path), "--format", "csv"]) == 0
    out, err = capsys.readouterr()
    assert "gemm,all,10," in out
    assert "left out: 5 rows of gemm, vllm/fp8_block: timed eagerly" in err


def test_distributions() -> None:
    names = ("balanced", "uniform", "power_law_1.2", "power_law_1.01_eplb", "something")
    assert [routing_of(name) for name in names] == ["balanced", "uniform", 1.2, "balanced", "uniform"]


def test_sheets_fall_to_the_next_wider_format() -> None:
    assert sheet("a100-sxm-80gb").peak("fp8") == 312e12
    assert sheet("h100-sxm").peak("fp4") == 1978.9e12
    assert has_sheet("gb300")
    assert not has_sheet("nobody-9000")


# Kernels that no fit has seen: 2,400 of the shapes kept aside, of nine devices and three engines, out of the timings published with
# aiconfigurator 0.12.0 (Apache-2.0). The limits are the goals of docs/calibration.md.
@pytest.mark.parametrize(("kind", "limit"), [("gemm", 0.12), ("attention", 0.20), ("experts", 0.25), ("collectives", 0.20)])
def test_kernels_never_fitted(kind: str, limit: float) -> None:
    lines = judge(SAMPLE, fits())
    found = next(line for line in lines if (line.kind, line.group) == (kind, "all"))
    assert found.count >= 300
    assert found.median_ln <= limit
    assert abs(found.bias) <= 0.05
    if kind == "gemm":
        assert abs(next(line for line in lines if line.group == "m<=1024").bias) <= 0.05


def test_the_sample_was_kept_aside() -> None:
    seen = 0
    for subject in SUBJECTS:
        columns = read_table(SAMPLE, subject.table)
        if columns is None:
            continue
        rows = subject.rows(columns)
        assert kept_aside(rows, subject.shape).all(), subject.name
        seen += len(rows["us"])
    assert seen >= 2000
