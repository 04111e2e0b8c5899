"""Messages name the flag, in the words that command-line programs use."""

import pytest
import typer

import roofcalc as rc
from roofcalc.cli.app import app
from roofcalc.commands.options import Options
from roofcalc.errors import flag, invalid_choice, option_name
from tests.shell import refused

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
