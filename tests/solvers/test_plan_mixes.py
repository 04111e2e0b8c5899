"""Plans for mixes of requests: a mix of one kind, the longest prompt's own time in a queue of several, and files that are none."""

import math
from pathlib import Path

import pytest

import roofcalc as rc
from tests.shell import refused


def test_a_mix_of_one_kind_is_that_kind(tmp_path: Path) -> None:
    path = tmp_path / "mix.txt"
    path.write_text("2000:500 1\n2000:500 3\n")
    for given in ({}, {"assume": "bound"}, {"assume": "typical"}):
        asked = {"requests_per_second": 20, "interactivity": 10, **given}
        mixed, plain = (rc.plan("qwen3-30b-a3b", "2xh100-sxm", **asked, **work) for work in ({"mix": str(path)}, {"isl": 2000, "osl": 500}))  # type: ignore[arg-type]
        for name in ("devices", "replicas", "tp", "dp", "batch"):
            assert mixed[name][0] == plain[name][0]
        assert mixed["interactivity_tok_s"][0] == pytest.approx(plain["interactivity_tok_s"][0])


MIX = """# prompts and answers, and how many of each
4000:200 3

1000:1000, 1   # longer answers
"""


def test_mixes(tmp_path: Path) -> None:
    def planned(text: str, **given: object) -> dict[str, object]:
        path = tmp_path / "mix.txt"
        path.write_text(text)
        (row,) = rc.plan("llama-3.1-8b", "h100-sxm", weights="all=fp8", requests_per_second=30, mix=str(path), **given).rows()  # type: ignore[arg-type]
        return dict(row)

    def alone(isl: int, osl: int) -> dict[str, object]:
        return dict(next(rc.plan("llama-3.1-8b", "h100-sxm", weights="all=fp8", requests_per_second=30, isl=isl, osl=osl).rows()))

    same = {name: value for name, value in planned("4k:200\n").items() if name != "mix"}
    assert same == alone(4000, 200) == {name: value for name, value in planned("4000:200 2\n4000:200 0.5\n").items() if name != "mix"}
    mixed, short, long = planned(MIX), alone(4000, 200), alone(1000, 1000)
    assert mixed["isl"] == 3250 and mixed["osl"] == 400  # (3·4000 + 1000)/4, (3·200 + 1000)/4
    # in flight by the tokens that each generates, 3·200 : 1000, and so is the mean of 4,200 and 2,000 tokens held
    assert mixed["seq"] == math.ceil((600 * 4200 + 1000 * 2000) / 1600)
    layout = {name: mixed[name] for name in ("tp", "pp", "dp")}
    given = {"weights": "all=fp8", **layout}
    longest, other = (float(rc.prefill("llama-3.1-8b", str(mixed["hardware"]), seq=seq, **given)["ttft_ms"][0]) / 1e3 for seq in (4000, 1000))  # type: ignore[arg-type]
    # the longest prompt's own time, a queue of three long prompts to one short (Pollaczek and Khinchine), and half of a step that gives 30 tok/s
    assert layout["pp"] == layout["dp"] == 1
    each, mean, square = 30 / mixed["replicas"], (3 * longest + other) / 4, (3 * longest**2 + other**2) / 4  # type: ignore[operator]
    wait = each * square / (2 * (1 - each * mean))
    assert longest + wait < mixed["ttft_ms"] / 1e3 < longest + wait + 1 / 30 / 2  # type: ignore[operator]
    assert min(short["devices"], long["devices"]) <= mixed["devices"] <= max(short["devices"], long["devices"])  # type: ignore[type-var, operator]


def test_the_mean_context_of_a_mix_is_not_rounded_up_by_float_noise(tmp_path: Path) -> None:
    path = tmp_path / "mix.txt"
    path.write_text("4000:100 2\n4000:100 7\n")  # 4100·2/9 + 4100·7/9 is 4100.000000000001 in floats
    assert rc.plan("llama-3.1-8b", "h100-sxm", mix=str(path))["seq"].tolist() == [4100]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("4000 200", "is not of the form `isl:osl weight`"),
        ("4000:200 1 2", "is not of the form `isl:osl weight`"),
        ("a:200", "isl: 'a' is not a number"),
        ("4000:0", "osl: expected 1 to"),
        ("4000:200 -1", "weight: expected"),
        ("# nothing\n", "0 kinds of requests"),
        ("\x00:1", "is not a number"),
    ],
)
def test_mixes_that_are_none(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "mix.txt"
    path.write_text(f"1:1\n{text}\n" if complaint[0] != "0" else text)
    said = refused(f"plan llama-3.1-8b h100-sxm --mix {path} --requests-per-second 1")
    assert complaint in said and (complaint[0] == "0" or f"{path}:2: " in said)
