"""`fit --save-profile` and `--profile`: a box is calibrated in one line, and every command predicts with what was fitted."""

from pathlib import Path

import pytest
import yaml

import roofcalc as rc
from tests.shell import refused, rows, run

CASE = "llama-3.1-70b 8xh100-sxm --weights all=fp8"
HEAD = "id,model,hardware,n_devices,weights_dtype,kv_dtype,isl,osl,batch_or_concurrency,metric,value\n"


def measured(folder: Path, mbu: float, layer_us: float, latency_us: float) -> Path:
    """Runs of an invented machine: the roofline at a fraction of the bandwidth, with overheads."""
    lines = []
    for number, (seq, batch) in enumerate([(1000, 1), (1000, 16), (4000, 64), (8000, 64), (2000, 8)]):
        (row,) = rc.interactivity(
            "llama-3.1-70b", "8xh100-sxm", weights="all=fp8", kv="fp8", seq=seq, batch=batch, mbu=mbu, layer_overhead_us=layer_us,
            collective_latency_us=latency_us,
        ).rows()  # fmt: skip
        lines.append(f"p{number},llama-3.1-70b,h100-sxm,8,fp8,fp8,{seq},,{batch},tpot_ms,{row['step_ms']}\n")
    path = folder / "runs.csv"
    path.write_text(HEAD + "".join(lines))
    return path


def test_a_fitted_profile_predicts_what_was_measured(tmp_path: Path) -> None:
    file, profile = measured(tmp_path, 0.7, 20.0, 0.0), tmp_path / "mine.yaml"
    result = run(f"fit {file} --fix mfu=1,link=1,latency_us=0,step_us=0 --save-profile {profile}")
    assert result.exit_code == 0 and f"note: saved for --profile: {profile}" in result.stderr
    tree = yaml.safe_load(profile.read_text())
    assert tree["efficiencies"]["mbu"] == pytest.approx(0.7, rel=1e-6) and tree["efficiencies"]["layer_overhead_us"] == pytest.approx(20, rel=1e-6)
    assert (tree["fitted"]["points"], tree["fitted"]["model"], tree["fitted"]["device"]) == (5, "llama-3.1-70b", "h100-sxm")
    for row in rows(f"validate {file} --profile {profile}"):
        assert float(row["ratio"]) == pytest.approx(1, rel=1e-6)
    (row,) = rows(f"interactivity {CASE} --kv fp8 --seq 8k --batch 64 --profile {profile}")
    assert float(row["step_ms"]) == pytest.approx(float(file.read_text().splitlines()[4].split(",")[-1]), rel=1e-6)
    assert row["profile"] == str(profile) and float(row["mbu"]) == pytest.approx(0.7)
    assert float(row["layer_overhead_us"]) == pytest.approx(20)


def test_latency_of_collectives_is_one_of_the_efficiencies(tmp_path: Path) -> None:
    """By hand: 80 layers of two all-reduces, 160 collectives of 12 µs: 1.92 ms a step."""
    at = {"weights": "all=fp8", "seq": 1000, "batch": 4}
    (plain,), (late,) = (rc.interactivity("llama-3.1-70b", "8xh100-sxm", **at, collective_latency_us=us).rows() for us in (None, 12.0))
    assert late["step_ms"] - plain["step_ms"] == pytest.approx(1.92)
    (ideal,) = rc.interactivity("llama-3.1-70b", "8xh100-sxm", **at, collective_latency_us=12.0, network="ideal").rows()
    assert ideal["step_ms"] < plain["step_ms"]
    file, profile = measured(tmp_path, 0.6, 0.0, 9.0), tmp_path / "mine.yaml"
    assert run(f"fit {file} --fix mfu=1,link=1,layer_us=0,step_us=0 --save-profile {profile}").exit_code == 0
    assert yaml.safe_load(profile.read_text())["efficiencies"]["collective_latency_us"] == pytest.approx(9, rel=1e-6)
    shown = run(f"explain interactivity {CASE} --seq 1k --batch 4 --collective-latency-us 12").stdout
    assert "latency in all" in shown


def test_options_go_before_the_profile_and_the_profile_before_the_preset(tmp_path: Path) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text("efficiencies: {mbu: 0.5, step_overhead_us: 100}\nfitted: {device: mi300x, points: 3}\n")
    line = f"interactivity {CASE} --seq 1k --batch 1 --profile {profile}"
    result = run(f"{line} -f csv")
    assert "--profile" in result.stderr and "mbu 0.5, step_overhead_us 100; fitted to 3 points" in result.stderr
    assert "fitted on mi300x, not on h100-sxm" in result.stderr
    assert rows(line)[0]["mbu"] == "0.5" and rows(f"{line} --mbu 0.9")[0]["mbu"] == "0.9"
    for command in (
        f"max-batch {CASE} --seq 1k",
        f"frontier {CASE} --seq 1k",
        f"prefill {CASE} --seq 1k",
        f"memory {CASE} --seq 1k --batch 1",
    ):
        assert {row["profile"] for row in rows(f"{command} --profile {profile}")} == {str(profile)}
    assert rows(f"{line} --assume typical")[0]["mbu"] == "0.5"


def test_settings_of_the_fit_are_kept(tmp_path: Path) -> None:
    file, profile = measured(tmp_path, 0.7, 20.0, 0.0), tmp_path / "mine.yaml"
    assert run(f"fit {file} --activations --overlap net --save-profile {profile}").exit_code == 0
    assert yaml.safe_load(profile.read_text())["settings"] == {"overlap": "net", "activations": True}
    (row,) = rows(f"interactivity {CASE} --seq 1k --batch 1 --profile {profile}")
    assert (row["overlap"], row["activations"]) == ("net", "true")


def test_a_result_file_in_one_line(tmp_path: Path) -> None:
    file, profile = Path(__file__).with_name("results") / "guidellm.json", tmp_path / "box.yaml"
    for words in (f"{file} --hardware h100-sxm", f"{file} h100-sxm"):
        (row,) = rows(f"fit {words} --fix mfu=1,link=1 --save-profile {profile}")
        assert row["points"] == "4" and row["model"] == "qwen3-8b"
    assert "the hardware is given twice" in refused(f"fit {file} h100-sxm --hardware h200-sxm")
    assert 0 < yaml.safe_load(profile.read_text())["efficiencies"]["mbu"] < 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("efficiencies: {mbu: 2}\n", "p.yaml: mbu: 2 is not a fraction"),
        ("efficiencies: {mub: 0.5}\n", "efficiencies: unknown 'mub'; did you mean"),
        ("efficiency: {mbu: 0.5}\n", "unknown key 'efficiency'; did you mean efficiencies"),
        ("efficiencies: {mbu: fast}\n", "p.yaml: mbu: 'fast' is not a fraction"),
        ("efficiencies: [1]\n", "efficiencies: expected keys and values"),
        ("fitted: {points: 1}\n", "sets no efficiencies"),
    ],
)
def test_profiles_that_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    profile = tmp_path / "p.yaml"
    profile.write_text(text)
    assert complaint in refused(f"interactivity {CASE} --seq 1k --batch 1 --profile {profile}")


def test_one_fit_makes_a_profile(tmp_path: Path) -> None:
    file = measured(tmp_path, 0.7, 20.0, 0.0)
    lines = file.read_text() + "q,llama-3.1-8b,a100-sxm-80gb,1,bf16,bf16,1000,,1,tpot_ms,9\n"
    file.write_text(lines)
    assert "one fit makes a profile, and --by hardware makes 2" in refused(f"fit {file} --by hardware --save-profile {tmp_path / 'p.yaml'}")
    assert "must end in .yaml" in refused(f"fit {file} --save-profile {tmp_path / 'p.txt'}")
    assert "cannot be written" in refused(f"fit {file} --save-profile {tmp_path / 'no' / 'p.yaml'}")
    assert "cannot be read" in refused(f"max-batch {CASE} --seq 1k --profile {tmp_path / 'none.yaml'}")
    with pytest.raises(rc.RoofcalcError, match="its efficiencies are fitted here"):
        rc.fit(file, profile=tmp_path / "p.yaml")
