"""The script for a machine with an accelerator: what it does without one, the work that it counts, the rows that it writes."""

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "device" / "measure.py"
WITHOUT_TORCH = "import runpy, sys; sys.modules['torch'] = None; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"


@pytest.fixture(scope="module")
def measure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("measure", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["measure"] = module
    spec.loader.exec_module(module)
    return module


def test_without_torch_it_says_so(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[3])}
    run = [sys.executable, "-c", WITHOUT_TORCH, str(SCRIPT), str(tmp_path / "figures.csv")]
    result = subprocess.run(run, capture_output=True, text=True, env=environment, timeout=60)
    assert (result.returncode, result.stdout) == (2, "") and list(tmp_path.iterdir()) == []
    assert result.stderr == "error: torch is not installed: this script measures with it; the rest of the project needs no accelerator\n"


def test_a_device_that_the_catalog_lacks(tmp_path: Path, measure: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert measure.main([str(tmp_path / "a.csv"), "--device", "h100-smx"]) == 2
    assert "unknown hardware 'h100-smx'; did you mean h100-sxm" in capsys.readouterr().err


def test_work_as_a_published_table_counts_it(measure: ModuleType) -> None:
    # aiconfigurator 095f58a5, l40s, gemm_perf.parquet: m8192 n16384 k5120 takes 3859.11 µs: 356.14 TFLOP/s
    flops, _ = measure.product_work(8192, 16384, 5120, 1)
    assert flops / 3859.11e-6 / 1e12 == pytest.approx(356.14, abs=0.01)
    # h100_sxm: m64 n65536 k8192 in fp8 takes 190.76 µs: 2861.06 GB/s of weights and inputs of one byte and outputs of two
    _, moved = measure.product_work(64, 65536, 8192, 1)
    assert moved / 190.76e-6 / 1e9 == pytest.approx(2861.06, abs=0.1)
    # gb200, generation_attention_perf.parquet: b32 kvlen4096 h32 kv8 d128, bf16, takes 84.49 µs: 6354.6 GB/s
    assert measure.cache_bytes(32, 4096, 8, 2) / 84.49e-6 / 1e9 == pytest.approx(6354.6, abs=0.5)  # the time is rounded


def test_figures_beside_their_peaks(measure: ModuleType) -> None:
    device = lookup.hardware("h100-sxm")[0].device

    def product(m: int, seconds: float, of: object = device) -> object:
        kernel = measure.Kernel("gemm", f"m{m} n8192 k8192", "bf16", *measure.product_work(m, 8192, 8192, 2), list)
        return measure.reduced(kernel, seconds, of)

    # 2 · 8192³ FLOPs in 1.5 ms are 733.0 TFLOP/s, of 989.4; 8192² · 2 + 8192 · 4 bytes in 50 µs are 2,685 GB/s, of 3,350
    large, small = product(8192, 1.5e-3), product(1, 50e-6)
    assert large[0] == "gemm_largeM(compute-bound)" and large[4:] == (pytest.approx(733.0, abs=0.05), "TFLOPS", 989.4)  # type: ignore[index]
    assert small[0] == "gemm_smallM(weight-bound)" and small[4:] == (pytest.approx(2685.0, abs=0.1), "GB/s", 3350)  # type: ignore[index]
    assert [product(m, 1e-3, None)[5:] for m in (256, 512)] == [("GB/s", None), ("TFLOPS", None)]  # type: ignore[index]
    made = measure.row(large, "h100-sxm", "measured 2026-01-01", "driver 1")
    assert list(made) == list(measure.COLUMNS)
    assert [made[name] for name in ("latency_us", "achieved", "peak", "fraction")] == ["1500.00", "733.01", "989.4", "0.741"]
    seen = measure.row(measure.Measured("visible_memory", "", "", None, 85_520_809_984.0, "bytes", 80e9), "h100-sxm", "", "")
    assert [seen[name] for name in ("latency_us", "achieved", "peak", "fraction")] == ["", "85520809984", "80000000000", "1.069"]


def test_rows_are_added_to_a_table_of_the_same_columns_only(tmp_path: Path, measure: ModuleType) -> None:
    path, one = tmp_path / "a.csv", {name: f"{name}, 1" for name in measure.COLUMNS}
    measure.append(path, [one])
    measure.append(path, [one, one])
    with path.open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [one] * 3
    path.write_text("a,b\n1,2\n")
    with pytest.raises(RoofcalcError, match="has other columns"):
        measure.append(path, [one])
    with pytest.raises(RoofcalcError, match="cannot be written"):
        measure.append(tmp_path / "no" / "a.csv", [one])
    assert path.read_text() == "a,b\n1,2\n"


def test_time_is_a_mean_of_calls_in_turn(measure: ModuleType) -> None:
    import time

    made: list[str] = []

    def call(name: str) -> None:
        made.append(name)
        time.sleep(0.002)

    took = measure.seconds_each([lambda: call("a"), lambda: call("b")], lambda: made.append("wait"), 0.02)
    assert 0.002 <= took < 0.02 and made[:2] == ["a", "b"]
    assert made[-1] == "wait" and made.count("a") == made.count("b") and ["a", "a"] not in [made[i : i + 2] for i in range(len(made))]


def test_columns_and_importing_need_no_torch(measure: ModuleType) -> None:
    assert ",".join(measure.COLUMNS) == "device,kernel,shape,dtype,latency_us,achieved,unit,peak,fraction,source,notes"
    assert "import torch" not in SCRIPT.read_text(encoding="utf-8")
