"""Quantities as people write them."""

import pytest

from roofcalc import units
from roofcalc.errors import RoofcalcError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7661", 7661),
        ("4k", 4000),
        ("4K", 4000),
        ("4Ki", 4096),
        ("1.5k", 1500),
        ("1M", 10**6),
        ("2Mi", 2**21),
        ("1e3", 1000),
        ("1_000", 1000),
        (" 30 ", 30),
    ],
)
def test_numbers(text: str, value: float) -> None:
    assert units.number(text) == value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("775,7661", [775, 7661]),
        ("1k:8k:x2", [1000, 2000, 4000, 8000]),
        ("1k:4k:1k", [1000, 2000, 3000, 4000]),
        ("1:256:x2", [1, 2, 4, 8, 16, 32, 64, 128, 256]),
        ("0.1:0.3:0.1", [0.1, 0.2, pytest.approx(0.3)]),
        ("1k:100k:x10,5", [1000, 10_000, 100_000, 5]),
        ("5:5:1", [5]),
        ("1:10:4", [1, 5, 9]),
    ],
)
def test_lists_and_ranges(text: str, values: list[float]) -> None:
    assert units.numbers(text) == values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "4kk",
        "1,,2",
        "nan",
        "inf",
        "1e999",
        "8k:1k:x2",
        "1:8",
        "1:8:0",
        "1:8:x1",
        "1:8:x0.5",
        "0:8:x2",
        "1:8:-1",
        "1:1e12:1",
        "1:2:3:4",
        "0x10",
        "4k:",
        ":",
    ],
)
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(RoofcalcError, match="seq"):
        units.numbers(text, "seq")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (123_456.7, "123,457"),
        (33.3333, "33.33"),
        (0.00123456, "0.001235"),
        (1e-9, "1.000e-09"),
        (-5.5, "-5.500"),
        (999.96, "1,000.0"),
        (5e15, "5.000e+15"),
    ],
)
def test_four_significant_digits(value: float, text: str) -> None:
    assert units.significant(value) == text


@pytest.mark.parametrize(("value", "text"), [(4000.0, "4000"), (0.1, "0.1"), (1 / 3, "0.3333333333333333"), (1e300, "1e+300"), (-2.0, "-2")])
def test_plain_numbers_lose_nothing(value: float, text: str) -> None:
    assert units.plain(value) == text and float(text) == value


def test_ranges_are_decimal() -> None:
    assert units.numbers("0.1:0.5:0.1") == [0.1, 0.2, 0.3, 0.4, 0.5]  # 0.1 + 2·0.1 is 0.30000000000000004 in floats
    assert units.numbers("1.1:1.4:0.1") == [1.1, 1.2, 1.3, 1.4]
    assert units.numbers("0.1:0.2:x1.1") == [0.1, 0.11, 0.121, 0.1331, 0.14641, 0.161051, 0.1771561, 0.19487171]
