"""Records: equal ones are one key, whatever order their dictionaries were filled in."""

from roofcalc.catalog import lookup
from roofcalc.specs.record import Record, replace


class Priced(Record):
    name: str
    prices: dict[str, float]


def test_equal_records_are_one_key() -> None:
    one, other = Priced("x", {"a": 1.0, "b": 2.0}), Priced("x", {"b": 2.0, "a": 1.0})
    assert one == other and hash(one) == hash(other) and len({one, other}) == 1
    assert len({one, replace(one, prices={"a": 1.0}), replace(one, name="y")}) == 3


def test_whole_entries_are_keys() -> None:
    model, machine = lookup.model("deepseek-v3")[0], lookup.hardware("8xh200-sxm")[0]
    again = replace(model, blocks=dict(reversed(model.blocks.items())))
    assert {model: 1, machine: 2}[again] == 1 and replace(model, vocab=1) not in {model}
