"""The Python side of the same questions."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup


def test_arrays_lists_and_text_are_the_same_question() -> None:
    ways = [[775, 7661], (775, 7661), "775,7661", np.array([775, 7661]), [775.0, 7661.0]]
    answers = [rc.max_batch("llama-3.1-405b", "8xh100-sxm", seq=seq, interactivity=30, weights="all=fp8") for seq in ways]
    assert all(table["max_batch"].tolist() == [385, 59] for table in answers)
    assert all(list(table.rows()) == list(answers[0].rows()) for table in answers)


def test_records_stand_for_names() -> None:
    model, hardware = lookup.model("llama-3.1-8b")[0], lookup.hardware("2xh100-sxm")[0]
    by_record = rc.interactivity(model, hardware, seq=1000, batch=[1, 2])
    by_name = rc.interactivity("llama-3.1-8b", "2xh100-sxm", seq=1000, batch=[1, 2])
    assert list(by_record.rows()) == list(by_name.rows())
    with pytest.raises(rc.RoofcalcError, match="only named catalog entries"):
        rc.interactivity(model, hardware, seq=1000, changes="model.vocab=1000")


def test_lists_of_everything_cross() -> None:
    table = rc.memory(
        ["llama-3.1-8b", "qwen3-8b"], ["h100-sxm", "2xh100-sxm"], seq=[1000, 2000], batch=[1, 8], weights=["bf16", "fp8"], kv=["bf16", "fp8"]
    )
    assert len(table) == 64 and table["seq"].shape == (64,)
    assert table["fits_memory"].dtype == bool and table["max_context"].dtype == float


def test_every_tensor_degree_of_a_list() -> None:
    table = rc.max_batch("llama-3.1-70b", "8xh100-sxm", seq=4000, weights="all=fp8", tp=[1, 2, 4, 8])
    assert [(row["tp"], row["pp"]) for row in table.rows()] == [(1, 8), (2, 4), (4, 2), (8, 1)]


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"seq": 0}, "seq: expected 1 to"),
        ({"seq": "abc"}, "not a number"),
        ({"seq": []}, "seq: expected"),
        ({"seq": float("nan")}, "seq: expected"),
        ({"seq": None, "interactivity": -1}, "interactivity: expected"),
        ({"weights": ["bf16", ""]}, "an empty name"),
        ({"weights": 8}, "weights: expected names"),
        ({"tp": 1.5}, "tp: expected a whole number"),
        ({"mbu": 2}, "mbu: 2 is not a fraction"),
        ({"mbu": "much"}, "mbu: 'much' is not a fraction"),
        ({"kv_block": 2.5}, "--kv-block: 2.5 is not a whole number"),
        ({"nonsense": 1}, "unknown option 'nonsense'"),
        ({"mbu": "0.5"}, "mbu: '0.5' is not a fraction"),
        ({"mbu": [0.5, 0.6]}, "is not a fraction"),
        ({"kv_block": "x"}, "--kv-block: 'x' is not a number"),
        ({"comm_dtype": 3}, "--comm-dtype: expected a name"),
        ({"changes": 5}, "changes: expected text"),
        ({"seq": 10**400}, "seq: expected numbers"),
    ],
)
def test_bad_requests(given: dict[str, object], complaint: str) -> None:
    with pytest.raises(rc.RoofcalcError, match=complaint):
        rc.max_batch("llama-3.1-8b", "h100-sxm", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", [None, 5, {"a"}, lookup.hardware("h100-sxm")[0], [["llama-3.1-8b"]], ""])
def test_what_is_no_model(model: object) -> None:
    with pytest.raises(rc.RoofcalcError, match="model: "):
        rc.max_batch(model, "h100-sxm")  # type: ignore[arg-type]


def test_paths_arrays_of_names_and_whole_floats() -> None:
    names = np.array(["llama-3.1-8b", "qwen3-8b"])
    table = rc.memory(names, "h100-sxm", seq=["4k", "8k"], kv_block=np.int64(16), weights=None, kv=None, changes=None)
    assert table["seq"].tolist() == [4000, 8000] * 2
    assert rc.memory(lookup.entries("models")["qwen3-8b"], "h100-sxm", seq=1000, kv_block=16.0)["model"].tolist() == ["qwen3-8b"]
    assert "max_batch" in dir(rc)


def test_a_question_is_no_module_whatever_was_imported() -> None:
    for name in ("prefill", "explain", "memory"):
        rc.max_batch("llama-3.1-8b", "h100-sxm", seq=1000)
        import_module("roofcalc.physics.prefill")
        import_module("roofcalc.report.explain.step")
        assert callable(getattr(rc, name)), name
    assert len(rc.prefill("llama-3.1-8b", "h100-sxm", seq=1000)) == 1
    assert rc.explain("memory", "llama-3.1-8b", "h100-sxm", seq=1000).rows
    for name in rc.__all__[1:]:
        assert callable(getattr(rc, name)), name
    with pytest.raises(AttributeError):
        _ = rc.nothing  # type: ignore[attr-defined]


def test_a_table_names_its_columns() -> None:
    table = rc.max_batch("llama-3.1-8b", "h100-sxm", seq=1000)
    assert table.column("step_ms").unit == "ms" and all(column.meaning for column in table.columns)
    with pytest.raises(rc.RoofcalcError, match="did you mean max_batch"):
        table["max_bach"]


@pytest.mark.parametrize("path", sorted((Path(__file__).parent.parent / "examples" / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_example_model_gives_an_answer(path: Path) -> None:
    question = {"seq": 1000, "weights": "all=fp8"}
    (limit,) = rc.max_batch(path, "8xh200-sxm", **question).rows()
    (speed,) = rc.interactivity(path, "8xh200-sxm", batch=4, **question).rows()
    (held,) = rc.memory(path, "8xh200-sxm", batch=4, **question).rows()
    assert limit["max_batch"] >= 1 and speed["fits_memory"] and held["weights_gb"] + held["kv_gb"] + held["free_gb"] == pytest.approx(8 * 141)
    assert held["batch_memory"] >= limit["max_batch"] and held["kv_gb"] > 0
    for per_layer in (False, True):
        parts = rc.ops(path, "8xh200-sxm", batch=4, per_layer=per_layer, **question)
        assert parts["time_us"].sum() / 1e3 == pytest.approx(speed["step_ms"], rel=1e-9) and parts["share"].sum() == pytest.approx(1)
    working = list(rc.explain("max-batch", path, "8xh200-sxm", **question).text())
    assert f"  max_batch = {limit['max_batch']:.0f} sequences, the smaller of the two" in working
