"""Every kind of chart drawn: no text overlaps another, axes have units; files in every format."""

import re
from itertools import combinations
from pathlib import Path

import pytest

import roofcalc as rc
from roofcalc.report.plots.frame import Drawn
from roofcalc.report.plots.kinds import drawn
from roofcalc.report.plots.size import ALONE, WITHIN, Frame
from tests.cli.examples import commands, draws, run_examples
from tests.process.test_process import imported
from tests.report.plot_cases import TABLES, texts
from tests.shell import LLAMA, run


@pytest.fixture(scope="module", params=[(name, frame) for name in TABLES for frame in (ALONE, WITHIN)], ids=lambda one: f"{one[0]}-{one[1].width}")
def chart(request: pytest.FixtureRequest) -> tuple[Frame, Drawn]:
    name, frame = request.param
    return frame, drawn(TABLES[name](), frame)


def test_no_text_overlaps_another_or_leaves_the_picture(chart: tuple[Frame, Drawn]) -> None:
    frame, (figure, words) = chart
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    boxes = [(one.get_text(), one.get_window_extent(renderer)) for one in texts(figure)]
    assert len(boxes) > 8
    for (text, box), (other_text, other) in combinations(boxes, 2):
        assert not box.padded(-0.5).overlaps(other.padded(-0.5)), (text, other_text)
    width, height = figure.get_size_inches() * figure.dpi
    for text, box in boxes:
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height, text
    for legend in figure.legends:
        assert not any(legend.get_window_extent(renderer).overlaps(axes.get_window_extent(renderer)) for axes in figure.axes)
    assert (words.title in [text for text, _ in boxes]) == frame.alone
    assert all(axes.get_window_extent(renderer).height > 60 for axes in figure.axes)


def test_every_axis_has_its_unit(chart: tuple[Frame, Drawn]) -> None:
    _, (figure, _) = chart
    labelled = [text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text]
    unitless = {"batch", "streams", "cost over\none stream", "chance of a\nright answer", "hardware.memory.bandwidth_gb_s"}
    assert len(labelled) >= 2 and all("(" in text for text in labelled if text not in unitless), labelled


def test_pictures_in_every_format(tmp_path: Path) -> None:
    line = f"plot memory {LLAMA} --batch 32 --seq 1k:64k:x4"
    for name, begins in (("a.svg", b"<?xml"), ("a.png", b"\x89PNG\r\n"), ("a.PDF", b"%PDF")):
        for _ in range(2):
            result = run(f"{line} -o {tmp_path / name}")
            assert (result.exit_code, result.stdout) == (0, "")
        assert (tmp_path / name).read_bytes().startswith(begins)
    first = (tmp_path / "a.svg").read_bytes()
    assert run(f"{line} -o {tmp_path / 'b.svg'} -q").stderr == "" and (tmp_path / "b.svg").read_bytes() == first
    assert run(f"{line} -o - -q").stdout == first.decode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.PDF", "a.png", "a.svg", "b.svg"]
    assert len(first) < 60_000 and b"<text" in first


def test_the_charts_of_the_page_on_output_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = (Path(__file__).parent.parent.parent / "docs" / "output.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"^roofcalc (.*)$", section, re.MULTILINE)
    for line in commands:
        assert run(line).exit_code == 0, line
    assert len(commands) == len(list(tmp_path.iterdir())) == 9
    (code,) = re.findall(r"In Python: `(.*?)`", section)
    exec(code, {"rc": rc, "table": TABLES["memory"]()})
    assert (tmp_path / "picture.svg").read_text().startswith("<?xml")


def test_help_needs_no_matplotlib() -> None:
    for line in (["plot", "--help"], ["plot", "memory", "--help"], ["report", "--help"]):
        assert "matplotlib" not in imported(*line)


@pytest.mark.parametrize("command", [command for command in commands() if draws(command)])
def test_examples_of_commands_that_draw_run(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_examples(command, tmp_path)
