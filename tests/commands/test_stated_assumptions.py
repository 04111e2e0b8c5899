"""Rows state every assumption that affects their figures: given, switched off, or switched on by a preset."""

from typing import Any

import pytest

import roofcalc as rc
from roofcalc.cli.options import ASSUMPTIONS
from roofcalc.deployment.assumptions import CHOICES, Assumptions, assumptions
from tests.shell import refused, rows

CASE: dict[str, Any] = {"seq": 4000, "batch": 1}


def stated(**options: Any) -> dict[str, Any]:
    (row,) = rc.interactivity("llama-3.1-8b", "h100-sxm", **CASE, **options).rows()
    return row


def test_an_assumption_that_was_switched_off_is_stated() -> None:
    assert stated(activations=True)["step_ms"] > stated()["step_ms"]  # with activation traffic a step moves more bytes
    on, off = stated(assume="typical"), stated(assume="typical", activations=False)
    assert (on["activations"], off["activations"]) == (True, False)


def test_a_default_that_no_preset_changes_is_not_stated() -> None:
    assert not {"activations", "imbalance", "redundant_experts"} & set(stated())
    assert stated(activations=False)["activations"] is False and stated(imbalance=1.0)["imbalance"] == 1


def test_an_overhead_of_zero_is_stated() -> None:
    row = stated(assume="typical", layer_overhead_us=0.0)
    assert row["layer_overhead_us"] == 0 and "step_overhead_us" not in row


@pytest.mark.parametrize("preset", CHOICES["assume"])
def test_rows_tell_what_a_preset_changes(preset: str) -> None:
    changed = {name for name in Assumptions.names_ if getattr(assumptions(preset), name) != getattr(Assumptions(), name)}
    assert changed - {"assume"} or preset == "roofline"
    assert changed <= set(stated(assume=preset))


def test_every_flag_that_a_preset_switches_on_can_be_switched_off() -> None:
    flags = {name for preset in CHOICES["assume"] for name in Assumptions.names_ if getattr(assumptions(preset), name) is True}
    assert flags == {"activations"}
    offered = {option.name.removeprefix("no_") for option in ASSUMPTIONS if option.name.startswith("no_")}
    line = "interactivity llama-3.1-8b h100-sxm --seq 4k --batch 1 --assume typical"
    for name in flags:
        assert name in offered
        (row,) = rows(f"{line} --no-{name}")
        assert row[name] == "false" and float(row["step_ms"]) == stated(assume="typical", activations=False)["step_ms"]
        assert rows(f"{line} --{name}") == rows(line)


def test_fits_state_them_too() -> None:
    point = {"point": "seq=1000,batch=1,interactivity=100"}
    (plain,) = rc.fit("llama-3.1-8b", "h100-sxm", **point).rows()
    (row,) = rc.fit("llama-3.1-8b", "h100-sxm", **point, activations=True).rows()
    assert "activations" not in plain and row["activations"] is True and row["mbu"] > plain["mbu"]


def test_a_model_without_hardware_has_none_of_them() -> None:
    assert "activations" not in next(rc.attention("llama-3.1-8b", seq=1000, assume="typical").rows())
    assert "--mfu: no effect" in refused("flops llama-3.1-8b --mfu 0.5")
