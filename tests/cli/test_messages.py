"""Messages name the flag, in the words that command-line programs use."""

import pytest
import typer

import roofcalc as rc
from roofcalc.cli.app import app
from roofcalc.commands.options import Options
from roofcalc.errors import flag, invalid_choice, option_name
from tests.shell import refused, run

PAIR = ("llama-3.1-8b", "h100-sxm")


def test_an_invalid_choice_names_the_flag_and_the_choices() -> None:
    said = "--kv-policy: invalid choice 'foo' (choose from architectural, engine, full, minimal, reserved)"
    assert said in refused("max-batch llama-3.1-8b h100-sxm --kv-policy foo")
    with pytest.raises(rc.RoofcalcError) as error:
        rc.max_batch(*PAIR, kv_policy="foo")
    assert str(error.value) == said
    assert str(invalid_choice("--overlap", "Ful", ("full", "net"))).endswith("(choose from full, net); did you mean full?")
    assert str(invalid_choice("--vendor", "nvidea", ["AMD", "NVIDIA"])).endswith("(choose from AMD, NVIDIA); did you mean NVIDIA?")


def test_flags_are_those_of_the_command_line() -> None:
    known = {name for name in Options.__annotations__ if name != "executor"}
    checked = set()
    for name in ("max-batch", "fit"):
        for parameter in typer.main.get_command(app).get_command(None, name).params:  # type: ignore[attr-defined]
            if parameter.name in known:
                checked.add(parameter.name)
                assert flag(parameter.name) in parameter.opts and option_name(flag(parameter.name)) == parameter.name
    assert checked == known
    assert (flag("reserve_gb"), option_name("--reserve"), option_name("set"), option_name("kv-block")) == (
        "--reserve",
        "reserve_gb",
        "changes",
        "kv_block",
    )


@pytest.mark.parametrize(
    ("line", "said", "unsaid"),
    [
        ("memory llama-3.3-70b rtx-4090 --weights q4_k_m --seq 8k", "it needs at least 2 devices; ", "--tp"),
        ("memory llama-3.3-70b 2xrtx-4090 --engine llama.cpp --seq 8k", "with q4_k_m weights it fits on 2xrtx-4090", "fp8"),
        ("memory llama-3.1-8b rtx-4090 --weights q8_0 --seq 128k", "it would fit with --seq 118004 or --kv q8_0", "fp8"),
        ("memory llama-3.1-8b rtx-4090 --weights fp8 --seq 128k", "(--tp 2 --pp 1)", "q8_0"),
        ("memory llama-3.1-8b rtx-4090 --weights fp8 --seq 128k", "--kv fp8", "q8_0"),
    ],
)
def test_what_would_fit_is_in_the_words_of_the_engine(line: str, said: str, unsaid: str) -> None:
    (note,) = [one for one in run(line).stderr.splitlines() if "does not fit" in one]
    assert said in note and unsaid not in note.replace("q8_0 weights need", "")


def test_accuracy_names_the_devices_where_there_are_several() -> None:
    """Each note once, with all devices that it is about; a second number of the same device is no second device."""

    def said(hardware: str) -> list[str]:
        notes = run(f"max-batch llama-3.1-8b {hardware} --assume typical --seq 4k").stderr.splitlines()
        return [note.split(": calibrated")[0] for note in notes if ": calibrated" in note]

    assert said("h100-sxm") == said("h100-sxm,2xh100-sxm") == ["note: typical"]
    assert said("h100-sxm,a100-sxm-80gb,h200-sxm") == ["note: typical on h100-sxm, h200-sxm", "note: typical on a100-sxm-80gb"]
