"""The dated price table, how a price is chosen, and what a wrong table is told."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from roofcalc.catalog import lookup, prices
from roofcalc.errors import RoofcalcError

HEADER = "provider,hardware,usd_per_hour,terms,date,source,notes"
WANTED = "h100-sxm,h200-sxm,a100-sxm-80gb,b200-sxm,mi300x,l4,l40s,a10g,tpu-v5e,tpu-v6e,tpu-v5p,trainium2,rtx-4090"


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """Writes a user's table; returns its path."""
    (folder / "hardware").mkdir(parents=True, exist_ok=True)
    path = folder / "hardware" / "prices.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's catalog: a device with no price, and a system of sixteen of them."""
    (tmp_path / "hardware").mkdir()
    (tmp_path / "hardware" / "mine.yaml").write_text("name: mine\nlike: h100-sxm\n")
    (tmp_path / "hardware" / "my-rack.yaml").write_text("name: my-rack\ndevice: mine\ncount: 16\nscale_out_gb_s: 50\n")
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    return tmp_path


def test_the_table_has_sources_that_open_and_dates() -> None:
    (built_in,) = prices.price_tables()
    assert len(built_in) >= 60
    for row in built_in:
        assert re.fullmatch(r"https://\S+", row.source), row.place
        assert "2023" <= row.date[:4] <= "2026", row.place
        assert row.place.startswith(str(lookup.built_in("hardware") / "prices.csv:"))


@pytest.mark.parametrize("name", WANTED.split(","))
def test_what_buyers_ask_for_has_a_price(name: str) -> None:
    found = prices.price(name)
    assert found is not None and 0.1 < found.usd_per_device_hour < 20


def test_no_device_costs_four_times_another_of_its_kind() -> None:
    # Providers differ up to threefold. The price of eight devices under the name of one differs eightfold.
    usd = defaultdict(list)
    for row in prices.price_tables()[-1]:
        if row.terms == "on_demand":
            hardware = lookup.hardware(row.hardware)[0]
            usd[hardware.device.name].append(row.usd_per_hour / hardware.count)
    assert [name for name, each in usd.items() if max(each) >= 4 * min(each)] == []


@pytest.mark.parametrize(
    ("name", "terms", "usd", "devices", "row"),
    [
        ("trainium2", "on_demand", 2.235, 16, "trn2.48xlarge"),  # 35.76 / 16: the device has no row of its own
        ("p5.48xlarge", "on_demand", 6.88, 8, "p5.48xlarge"),  # 55.04 / 8, what AWS takes for one alone
        ("2xp5.48xlarge", "on_demand", 6.88, 8, "p5.48xlarge"),
        ("p5.48xlarge", "reserved", 4.91625, 8, "p5.48xlarge"),  # 39.33 / 8
        ("p5en.48xlarge", "spot", 3.321425, 8, "p5en.48xlarge"),  # 26.5714 / 8
        ("8xmi300x", "on_demand", 2.59, 1, "mi300x"),
        ("L4", "on_demand", 0.8048, 1, "l4"),
        ("g6.48xlarge", "on_demand", 1.6688, 8, "g6.48xlarge"),  # 13.3504 / 8
        ("v5e-8", "on_demand", 1.2, 1, "tpu-v5e"),
    ],
)
def test_prices_of_the_table(name: str, terms: str, usd: float, devices: int, row: str) -> None:
    found = prices.price(name, terms)
    assert found is not None
    assert (found.usd_per_device_hour, found.devices, found.row.hardware) == (pytest.approx(usd), devices, row)


def test_nothing_is_known_of_other_terms() -> None:
    assert prices.price("mi325x") is None
    assert prices.price("trainium2", "spot") is None


def test_the_newest_row_counts_and_of_equal_dates_the_upper(own: Path) -> None:
    table(own, "A,mine,5,on_demand,2025-12,x,", "B,mine,3,on_demand,2026-02-01,x,", "C,mine,4,on_demand,2026-02-01,x,", "D,mine,9,spot,2026-03,x,")
    found = prices.price("mine")
    assert found is not None and (found.row.provider, found.usd_per_device_hour, found.devices) == ("B", 3, 1)
    assert found.row.place == f"{own / 'hardware' / 'prices.csv'}:3"


def test_a_system_before_its_device_before_other_systems(own: Path) -> None:
    rows = ["A,my-rack,32,on_demand,2025-01,x,", "B,Mine,3,on_demand,2026-01,x,"]
    table(own, *rows)
    for name, provider, usd in (("my-rack", "A", 2), ("mine", "B", 3), ("4xmine", "B", 3)):
        found = prices.price(name)
        assert found is not None and (found.row.provider, found.usd_per_device_hour) == (provider, usd)


def test_another_system_prices_the_device(own: Path) -> None:
    table(own, "A,my-rack,32,list,2025-01,x,", "A,dgx-h100,80,list,2026-01,x,")
    found = prices.price("mine", "list")
    assert found is not None and (found.row.hardware, found.devices, found.usd_per_device_hour) == ("my-rack", 16, 2)


def test_the_users_table_comes_first(own: Path) -> None:
    built_in = prices.price("h100-sxm")
    assert built_in is not None and built_in.row.date > "2026"
    table(own, '"Us, Inc.",h100-sxm,1.25,on_demand,2020-01,our contract,"2 years, paid ahead"')
    found = prices.price("h100-sxm")
    assert found is not None and (found.usd_per_device_hour, found.row.provider, found.row.notes) == (1.25, "Us, Inc.", "2 years, paid ahead")
    assert prices.price("l4") is not None


def test_every_problem_of_a_table_at_once(own: Path) -> None:
    path = table(
        own,
        "A,mine,1,on_demand,2026-01,x,",
        ",zzz,-1,on-demand,2026-13,,",
        "A,mine,nan,spot,2026-02-30,x,",
        "A,mine,1,spot,2026-01-01",
        "",
        "A,mine,two,spot,26-01,x,",
    )
    with pytest.raises(RoofcalcError) as caught:
        prices.price("mine")
    assert caught.value.lines == (
        f"{path}:3: provider: not given",
        f"{path}:3: hardware: no catalog entry 'zzz'",
        f"{path}:3: usd_per_hour: expected a number above 0, got '-1'",
        f"{path}:3: terms: expected one of on_demand, spot, reserved, list, got 'on-demand'; did you mean on_demand?",
        f"{path}:3: date: expected YYYY-MM or YYYY-MM-DD, got '2026-13'",
        f"{path}:3: source: not given",
        f"{path}:4: usd_per_hour: expected a number above 0, got 'nan'",
        f"{path}:4: date: expected YYYY-MM or YYYY-MM-DD, got '2026-02-30'",
        f"{path}:5: expected 7 cells, got 5",
        f"{path}:7: usd_per_hour: expected a number above 0, got 'two'",
        f"{path}:7: date: expected YYYY-MM or YYYY-MM-DD, got '26-01'",
    )


def test_problems_of_two_tables_at_once(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = table(own, "A,mine,0,spot,2026-01,x,"), table(own / "more", "A,mine,1,never,2026-01,x,")
    monkeypatch.setenv("ROOFCALC_PATH", f"{own}:{own / 'more'}")
    with pytest.raises(RoofcalcError) as caught:
        prices.price_tables()
    assert [line.split(": ")[0] for line in caught.value.lines] == [f"{first}:2", f"{second}:2"]


@pytest.mark.parametrize(
    ("header", "row", "complaint"),
    [
        ("provider,hardware,price", "A,mine,1", f":1: expected the header {HEADER}"),
        ("", "", f":1: expected the header {HEADER}"),
        (HEADER, "A,h100-sxn,1,spot,2026-01,x,", ":2: hardware: no catalog entry 'h100-sxn'; did you mean h100-sxm"),
        (HEADER, 'A,mine,"1,spot,2026-01,x,', ":2: unexpected end of data"),
    ],
)
def test_tables_that_cannot_be(own: Path, header: str, row: str, complaint: str) -> None:
    path = table(own, row, header=header)
    with pytest.raises(RoofcalcError, match=re.escape(f"{path}{complaint}")):
        prices.price_tables()


@pytest.mark.parametrize(
    ("name", "terms", "complaint"),
    [
        ("h100-sxm", "on demand", "unknown terms 'on demand'; did you mean on_demand?"),
        ("h100-sxn", "spot", "unknown hardware 'h100-sxn'; did you mean"),
    ],
)
def test_questions_that_cannot_be(name: str, terms: str, complaint: str) -> None:
    with pytest.raises(RoofcalcError, match=re.escape(complaint)):
        prices.price(name, terms)
