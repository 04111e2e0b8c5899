"""The reader of measured points: what a file may leave out, and how a wrong one is told."""

from pathlib import Path

import pytest

from roofcalc.errors import RoofcalcError
from roofcalc.measurements.points import COLUMNS, load, read

MEASURED = Path(__file__).with_name("measured.csv")


def written(folder: Path, text: str) -> Path:
    path = folder / "points.csv"
    path.write_text(text)
    return path


def test_a_row_of_the_file_is_a_record() -> None:
    points = {point.id: point for point in read(MEASURED)}
    assert len(points) == 124
    one = points["E0255"]  # performance.md, A100: LLaMA 7B, batch 60, 128 in, 2048 out, 1,928 tok/s
    assert (one.model, one.hardware, one.n_devices, one.tp, one.dp, one.kv_dtype) == ("Llama-2-7B", "A100-SXM-80GB", 1, 1, None, "fp16")
    assert (one.isl, one.osl, one.batch, one.metric, one.value, one.comparable) == (128, 2048, 60, "output_tok_s_total", 1928, True)
    assert one.place.endswith("measured.csv:64")
    assert (points["E0814"].batch, points["E0814"].tokens_per_device) == (None, 16384)
    assert all(point.source and (point.source_url_or_path or "").startswith("https://") for point in points.values())


def test_four_columns_in_any_order_are_enough(tmp_path: Path) -> None:
    (point,) = read(written(tmp_path, "value,metric,model,hardware\n\n12.5,tok_s_user,llama-3.1-8b,h100-sxm\n"))
    assert (point.id, point.value, point.batch, point.weights_dtype, point.comparable) == ("line 3", 12.5, None, None, True)


def test_a_cell_with_a_line_break_keeps_the_places(tmp_path: Path) -> None:
    text = 'model,hardware,metric,value,notes\na,b,c,1,"two\nlines"\na,b,c,2,\n'
    assert [point.place.rsplit(":", 1)[1] for point in read(written(tmp_path, text))] == ["2", "4"]


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    head = ",".join(COLUMNS)
    good = dict.fromkeys(COLUMNS, "") | {"id": "P", "model": "a", "hardware": "b", "metric": "c", "value": "1"}
    wrong = [
        {"value": "fast"},
        {"value": "0"},
        {"value": "nan"},
        {"value": ""},
        {"tp": "0"},
        {"tp": "1.5"},
        {"isl": "-1"},
        {"batch_or_concurrency": "some"},
        {"batch_or_concurrency": "x tokens/GPU"},
        {"osl": "0.5"},
        {"replicas": "0"},
        {"acceptance": "70"},
        {"accepted": "0.9"},
        {"comparable": "maybe"},
        {"model": ""},
    ]
    lines = [",".join((good | {"id": f"P{i}"} | change).values()) for i, change in enumerate(wrong)]
    path = written(tmp_path, "\n".join([head, *lines, "too,few", ",".join(good.values()), ",".join(good.values())]) + "\n")
    with pytest.raises(RoofcalcError) as caught:
        read(path)
    told = caught.value.lines
    assert len(told) == len(wrong) + 2
    for number, change in enumerate(wrong, 2):
        assert any(line.startswith(f"{path}:{number}: {next(iter(change))}: ") for line in told), (number, told)
    line = len(wrong) + 2
    assert f"{path}:{line}: expected {len(COLUMNS)} cells, got 2" in told
    assert f"{path}:{line + 2}: id: 'P' is already used in line {line + 1}" in told
    points, problems, _ = load(path)  # the other row is read all the same
    assert [point.id for point in points] == ["P"] and [str(one) for one in problems] == list(told)


def test_means_are_fractions_and_thousands_may_be_grouped(tmp_path: Path) -> None:
    (point,) = read(written(tmp_path, 'model,hardware,metric,value,isl,osl,batch_or_concurrency\na,b,c,"12,345.5",290.3,145.9,5226.5\n'))
    assert (point.value, point.isl, point.osl, point.batch) == (12345.5, 290.3, 145.9, 5226.5)


@pytest.mark.parametrize(
    ("notes", "accepted", "acceptance", "draft"),
    [
        ("MTP3, acceptance length 2.4", 2.4, None, 3),
        ("EAGLE-3 speculation: accepted 71 %", None, 0.71, None),
        ("with a draft model, accept len = 3.1", 3.1, None, None),
        ("speculation with acceptance 0.8", None, 0.8, None),
        ("MTP on, acceptance not published", None, None, None),
        ("requests accepted 100 in a row", None, None, None),
    ],
)
def test_speculation_is_read_from_notes(tmp_path: Path, notes: str, accepted: float | None, acceptance: float | None, draft: int | None) -> None:
    (point,) = read(written(tmp_path, f'model,hardware,metric,value,notes\na,b,c,1,"{notes}"\n'))
    assert (point.accepted, point.acceptance, point.draft) == (accepted, acceptance, draft)


def test_cells_that_say_nothing_are_empty(tmp_path: Path) -> None:
    (point,) = read(written(tmp_path, "model,hardware,metric,value,tp,isl,kv_dtype\na,b,c,1,-,n/a,unknown\n"))
    assert (point.tp, point.isl, point.kv_dtype) == (None, None, None)


def test_a_batch_may_be_as_many_as_fit(tmp_path: Path) -> None:
    (point,) = read(written(tmp_path, "model,hardware,metric,value,batch_or_concurrency\na,b,c,1,max\n"))
    assert point.max_load and point.batch is None


def test_other_columns_are_named_and_not_read(tmp_path: Path) -> None:
    (point,), problems, notes = load(written(tmp_path, "model,hardware,metric,value,operator of the run\na,b,c,1,x\n"))
    assert (point.model, problems) == ("a", []) and notes[0].endswith(":1: columns that are not read: operator of the run")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r":1: missing columns: model, hardware, metric, value"),
        ("model,hardware,metric,value\n", r"contains no points"),
        ("model,hardware,metric,value,wieghts_dtype\n", r":1: unknown column 'wieghts_dtype'; did you mean weights_dtype"),
        ("model,hardware,metric,value,value\n", r":1: column 'value' occurs more than once"),
        ('model,hardware,metric,value\n"a,b,c,1\n', r":2: unexpected end of data"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=complaint):
        read(written(tmp_path, text))
    with pytest.raises(RoofcalcError, match=r"nothing\.csv: cannot be read: No such file"):
        read(tmp_path / "nothing.csv")
