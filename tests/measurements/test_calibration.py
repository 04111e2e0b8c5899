"""`typical.yaml`: its figures are those that the scripts find in the measurements."""

from pathlib import Path

import pytest

from roofcalc.catalog import lookup
from roofcalc.deployment import calibrated
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import Deployment, deploy, notes
from tools.calibrate import calibrate, kernels

HERE = Path(__file__).parent


def on(model: str, hardware: str, weights: str = "native", layout: dict[str, int] | None = None, **given: object) -> Deployment:
    return deploy(lookup.model(model)[0], lookup.hardware(hardware)[0], weights=weights, assumptions=assumptions(**given), **(layout or {}))  # type: ignore[arg-type]


def test_kernels_lie_within_the_scatter_that_is_stated() -> None:
    file = calibrated.read()
    timed = kernels.read(HERE / "kernels.csv")
    for kind, (count, median, most) in calibrate.scattered(timed, file.devices).items():
        stated = file.kernels[kind]
        assert (count, median, most) == (stated[0], pytest.approx(stated[1], abs=0.002), pytest.approx(stated[2], abs=0.002)), kind
    assert file.kernels["product"][1] < 0.05 and file.kernels["decode"][1] < 0.05
    assert sum(one[0] for one in file.kernels.values()) > 1000


def test_no_device_figure_is_typed_by_hand() -> None:
    """The script finds in the measurements what the file says."""
    found = calibrate.devices(kernels.read(HERE / "kernels.csv", calibrate.SAME), kernels.figures(HERE / "figures.csv"))
    assert found == calibrated.read().devices


def test_the_file_is_what_the_script_writes() -> None:
    assert calibrate.text(calibrated.read()) == calibrated.PATH.read_text(encoding="utf-8")


def test_every_row_has_a_source() -> None:
    rows = [*kernels.figures(HERE / "figures.csv"), *({"source": one.source} for one in kernels.read(HERE / "kernels.csv"))]
    assert {row["source"].split(":")[0] for row in rows} == set(kernels.SOURCES)
    assert all(url.startswith("https://") for url in kernels.SOURCES.values())


def test_one_kernel_by_hand() -> None:
    """A 1 × 65,536 × 8,192 product in bf16 on an H100 (aiconfigurator: 383.37 us) reads 1,073.9 MB: 320.6 us at 3,350 GB/s."""
    (kernel,) = [
        one
        for one in kernels.read(HERE / "kernels.csv")
        if one.device == "h100-sxm" and one.dtype == "bf16" and one.kind == "product" and one.shape == {"m": 1, "n": 65536, "k": 8192}
    ]
    assert kernel.memory_s == pytest.approx((65536 * 8192 + 65536 + 8192) * 2 / 3350e9)
    assert kernel.memory_s / kernel.seconds == pytest.approx(0.836, abs=0.001)


def test_every_device_has_a_profile_or_says_whose_it_borrows() -> None:
    file = calibrated.read()
    for name, path in lookup.entries("hardware").items():
        if "\ndevice:" in path.read_text(encoding="utf-8"):
            continue
        device = lookup.hardware(name)[0].device
        profile = calibrated.profile(device)
        shares = [
            *profile.gemm.values(),
            *profile.weight_read.values(),
            *profile.prefill_attention.values(),
            *(x for pair in profile.decode_attention.values() for x in pair),
        ]
        assert all(0 < share <= 1 for share in shares), name
        assert profile.reserve_gb <= 6 and (profile.reserve_gb >= 2 or device.memory.capacity_gb < 20), name
        own = file.devices.get(device.name)
        measured = own is not None and None not in (own.weight_read, own.decode_attention, own.all_reduce, own.all_to_all)
        assert bool(profile.fallbacks) == (not measured), name
    said = notes(on("llama-3.1-8b", "rtx-4090", assume="typical"))
    assert any(text.startswith("typical: calibrated ") for text in said)
    assert "typical: no GEMM, weight-read, decode-attention, prefill-attention, all-reduce measurements for rtx-4090; using those of l40s" in said
    assert not any("typical" in text for text in notes(on("llama-3.1-8b", "rtx-4090")))
