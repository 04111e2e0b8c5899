"""Names of models and hardware as people write them, decided one by one by what they name (spellings.csv).

A row gives the entry that a spelling resolves to, the devices and the weights recipe that it gives, or what its refusal says.
"""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.errors import RoofcalcError
from tests.each import each
from tests.shell import run

with Path(__file__).with_name("spellings.csv").open(encoding="utf-8", newline="") as file:
    ROWS = list(csv.DictReader(file))


@each([row for row in ROWS if row["kind"] == "hardware"])
def test_hardware(row: dict[str, str]) -> None:
    if row["refusal"]:
        with pytest.raises(RoofcalcError) as refused:
            lookup.hardware(row["spelling"])
        assert row["refusal"] in str(refused.value)
        return
    found, _ = lookup.hardware(row["spelling"])
    assert (found.name, str(found.count)) == (row["resolved"], row["count"])
    assert lookup.hardware(found.name)[0] == found  # a printed name names the same machine


@each([row for row in ROWS if row["kind"] == "model"])
def test_models(row: dict[str, str]) -> None:
    if row["refusal"]:
        with pytest.raises(RoofcalcError) as refused:
            lookup.model(row["spelling"])
        assert row["refusal"] in str(refused.value)
        return
    assert (lookup.model(row["spelling"])[0].name, lookup.weights(row["spelling"]) or "") == (row["resolved"], row["weights"])


def test_every_spelling_of_the_table_is_decided() -> None:
    assert len(ROWS) > 500 and len({(row["kind"], row["spelling"]) for row in ROWS}) == len(ROWS)
    assert all(bool(row["resolved"]) != bool(row["refusal"]) for row in ROWS)


def test_what_a_short_name_leaves_open_is_said() -> None:
    _, notes = lookup.hardware("A100")
    assert "'A100' is taken for a100-sxm-80gb; others: a100-sxm-40gb, a100-pcie-80gb, a100-pcie-40gb" in notes
    assert "'h100' is an alias of h100-sxm; others: h100-nvl, h100-pcie" in lookup.hardware("h100")[1]
    assert any("others: llama-3.1-70b" in note for note in lookup.model("llama 70b")[1])


@pytest.mark.parametrize(
    ("text", "vendors"),
    [
        ("H300", {"NVIDIA"}),
        ("h100-sxn", {"NVIDIA"}),
        ("MI400X", {"AMD"}),
        ("RTX 4095", {"NVIDIA"}),
        ("RX 6800", set()),
        ("M7 Max", {"Apple"}),
        ("EPYC 9004", {"AMD"}),
        ("Xeon 6430", {"Intel"}),
        ("K80", set()),
        ("Atlas 300I Duo", {"Huawei"}),
        ("TPU v9", {"Google"}),
        ("Raspberry Pi 5", set()),
    ],
)
def test_hints_stay_with_the_maker(text: str, vendors: set[str]) -> None:
    with pytest.raises(RoofcalcError) as refused:
        lookup.hardware(text)
    _, _, hint = str(refused.value).partition("did you mean ")
    names = [name for name in hint.partition("?")[0].split(" or ") if name]
    assert {lookup.hardware(name)[0].device.vendor for name in names} == vendors


def test_a_slice_has_its_share() -> None:
    """3g.40gb of an H100: 3 of 7 compute slices and half of the memory and its bandwidth (the MIG user guide's fractions)."""
    part, whole = lookup.hardware("h100-mig-3g.40gb")[0], lookup.hardware("h100-sxm")[0]
    assert part.device.peak_tflop_s["bf16"] == pytest.approx(whole.device.peak_tflop_s["bf16"] * 3 / 7, rel=1e-5)
    assert part.device.memory.bandwidth_gb_s == whole.device.memory.bandwidth_gb_s / 2 and part.device.memory.capacity_gb == 40
    assert part.link is None


def test_memory_that_a_name_gives() -> None:
    """A Mac's memory is shared and sold in sizes; a size that is given by hand wins."""
    assert lookup.hardware("M4 Max 64GB")[0].device.memory.capacity_gb == 64
    (row,) = rc.memory("llama-3.1-8b", "M4 Max 64GB", seq=1000, changes="hardware.memory.capacity_gb=48").rows()
    assert row["capacity_gb"] == 48 and row["hardware"] == "m4-max-64gb"


def test_a_precision_in_a_name_is_the_weights_recipe() -> None:
    """Llama-3.1-8B in AWQ is 5.70 GB as published, and the name alone says so; --weights given by hand wins."""
    named, asked, plain = (
        next(rc.memory(name, "l40s", seq=1000, **given).rows())  # type: ignore[arg-type]
        for name, given in (("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", {}), ("llama-3.1-8b", {"weights": "awq"}), ("llama-3.1-8b", {}))
    )
    assert named["weights"] == "awq" and named["weights_gb"] == asked["weights_gb"] == pytest.approx(5.70, rel=0.01)
    (held,) = rc.memory("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "l40s", seq=1000, weights="bf16").rows()
    assert held["weights_gb"] == plain["weights_gb"]
    assert "--weights awq, as the name says" in run("memory hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4 l40s --seq 1k").stderr


def test_each_name_of_a_list_has_its_own_recipe() -> None:
    rows = list(rc.memory("llama3.1:8b,unsloth/Meta-Llama-3.1-8B-Instruct,nvidia/Llama-3.1-8B-Instruct-FP8", "rtx-4090", seq=1000).rows())
    assert [row["weights"] for row in rows] == ["q4_k_m", "bf16", "fp8"] and {row["model"] for row in rows} == {"llama-3.1-8b"}
    for command in (rc.plan, rc.frontier):
        assert {row["weights"] for row in command("llama3.1:8b", "rtx-4090", seq=1000).rows()} == {"q4_k_m"}


def test_exact_names_read_no_rules() -> None:
    """Names as the catalog has them are found without the modules that read what people write."""
    code = (
        "import sys; from roofcalc.catalog import lookup; lookup.hardware('8xh100-sxm'); lookup.hardware('8xh100'); lookup.model('llama-405b'); "
        "print([name for name in sys.modules if name.endswith(('hardware_names', 'model_names', 'catalog.boxes', 'instances'))])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_memory_is_asked_of_any_count() -> None:
    for box in ("4xrtx-4090", "3xm3-ultra", "5xn150", "7xh100-mig-1g.10gb", "2xp5.4xlarge"):
        machine = lookup.hardware(box)[0]
        (row,) = rc.memory("llama-3.2-1b", box, seq=1000, network="ideal").rows()
        assert row["capacity_gb"] == pytest.approx(machine.count * machine.device.memory.capacity_gb)


def test_published_exceptions_are_taken_from_the_table() -> None:
    """Meta's 405B-FP8 keeps attention and two layers in 16 bits: 482 to 496 GB by published figures, not the 410 of fp8 linear layers."""
    (row,) = rc.memory("meta-llama/Llama-3.1-405B-Instruct-FP8", "8xh200", seq=1000).rows()
    assert 482 <= row["weights_gb"] <= 8 * 57.75 * 1.073741824  # type: ignore[operator]  # the larger is logged per device: vllm#6746
