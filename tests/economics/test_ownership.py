"""Prices of one's own hardware, loads below 1, and the break-even against an API: hand computations and a search by brute force."""

from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.economics import ownership
from roofcalc.economics.ownership import DevicePrice
from tests.shell import refused, rows, run

LINE = "cost llama-3.1-8b h100-sxm --query 2k:500"


def test_prices_by_hand() -> None:
    # 35,040 USD over 4 · 8,760 hours: 1 USD an hour
    assert ownership.amortised(35_040, 4) == pytest.approx(1)
    # 700 W: 105 W idle, and at 30 % load 105 + 0.3 · 595 = 283.5 W; at 0.1 USD/kWh and a PUE of 1.2 0.0126, 0.03402 and 0.084 USD
    assert float(ownership.power_at(700, 0.15, 0.3)) == pytest.approx(283.5)
    price = ownership.owned(1.0, 700, 0.15, 1.2, 0.1)
    assert [float(price.at(load)) for load in (0, 0.3, 1)] == pytest.approx([1.0126, 1.03402, 1.084])
    assert float(ownership.at_load(0.3, 0.25)) == pytest.approx(1.2)


def test_a_load_below_one_pays_for_idle_hours() -> None:
    # the law: the price of the machine at that load over the requests that it completes
    (most,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=2000, osl=500).rows()
    found = rows(f"{LINE} --usd-per-hour 3.6 --load 0.25,1")
    assert [row["load"] for row in found] == ["0.25", "1"] and {row["usd_per_device_hour"] for row in found} == {"3.6"}
    for row in found:
        assert float(row["usd_per_query"]) == pytest.approx(3.6 / 3600 / (most["requests_per_s"] * float(row["load"])), rel=1e-9)  # type: ignore[operator]
        parts = float(row["usd_per_mtok_in"]) * 2000 + float(row["usd_per_mtok_out"]) * 500
        assert parts / 1e6 == pytest.approx(float(row["usd_per_query"]), rel=1e-9)
        assert row["relative_cost"] == "1"
    assert "note: load: 1, all of the paid capacity is used (--load)" in run(LINE).stderr
    assert "note: load" not in run(f"{LINE} --load 0.5").stderr


def test_power_is_paid_as_it_is_drawn() -> None:
    given = f"{LINE} --capex 35040 --years 4 --power-price 0.1 --pue 1.2 --load 0.3,1"
    low, full = rows(given)
    assert (float(low["usd_per_device_hour"]), float(full["usd_per_device_hour"])) == pytest.approx((1.03402, 1.084))
    assert (low["capex"], low["years"], low["power_price"], low["pue"]) == ("35040", "4", "0.1", "1.2")
    (by_hour,) = rows(f"{LINE} --usd-per-hour 1.03402 --load 0.3")
    assert float(low["usd_per_query"]) == pytest.approx(float(by_hour["usd_per_query"]), rel=1e-12)
    (more,) = rows(f"{given.removesuffix(' --load 0.3,1')} --load 0.3 --idle-power 0.5")
    assert float(more["usd_per_device_hour"]) == pytest.approx(1 + 700 * 0.65 / 1000 * 1.2 * 0.1)  # 0.5 + 0.5 · 0.3
    assert "35,040 USD over 4 years, and 700 W at 0.1 USD/kWh and a PUE of 1.2" in run(given).stderr
    assert "power is not counted" in run(f"{LINE} --capex 35040 --years 4").stderr
    (alone,) = rows(f"{LINE} --power-price 0.1")
    assert float(alone["usd_per_device_hour"]) == pytest.approx(0.07)


def test_energy_at_a_load_adds_up() -> None:
    # without prompts all energy is that of tokens: J per token times tokens per second are the watts of the machine
    (most,) = rc.max_batch("llama-3.1-8b", "h100-sxm", isl=0, osl=500).rows()
    for row in rows("cost llama-3.1-8b h100-sxm --query 0:500 --load 0.2,1"):
        load = float(row["load"])
        watts = float(row["joule_per_token"]) * most["requests_per_s"] * 500 * load  # type: ignore[operator]
        assert watts == pytest.approx(700 * (0.15 + 0.85 * load), rel=1e-9)


def test_two_systems_draw_twice_the_power_of_one() -> None:
    # DGX H100: 10.2 kW each, 1,275 W for each of their devices
    one, two = (rows(f"cost llama-3.1-8b {name} --query 0:100 --power-price 1 --tp 8")[0] for name in ("dgx-h100", "2xdgx-h100 --dp 2"))
    assert float(one["usd_per_device_hour"]) == pytest.approx(1.275) and two["usd_per_device_hour"] == one["usd_per_device_hour"]


@pytest.mark.parametrize("price", [DevicePrice(2.0), DevicePrice(1.0, 0.5), DevicePrice(0.1, 3.0)])
def test_break_even_by_brute_force(price: DevicePrice) -> None:
    # days of so many queries, each paid at the API or with a machine of 8 devices that is used for as long as they take
    devices, machine_s = 8, 0.5
    for api_usd in (0.0005, 0.002, 0.01, 0.1):
        queries = np.arange(1, int(86400 / machine_s) + 1)
        own = 24 * devices * (price.idle + price.busy * queries * machine_s / 86400)
        cheaper = queries[own <= queries * api_usd]
        found = float(ownership.break_even_per_day(price, devices, machine_s, api_usd))
        if cheaper.size:
            assert cheaper[0] - 1 < found <= cheaper[0]
        else:
            assert np.isnan(found)


def test_break_even_columns() -> None:
    (row,) = rows(f"{LINE} --usd-per-hour 2 --price-in 1 --price-out 4")
    # a query is 2,000 · 1 + 500 · 4 = 4,000 millionths of a dollar; 48 USD a day are 12,000 queries of 2,500 tokens
    assert float(row["api_usd_per_query"]) == pytest.approx(0.004) and float(row["break_even_tok_per_day"]) == pytest.approx(12_000 * 2500)
    # at this load a query costs as much as at the API
    (at,) = rows(f"{LINE} --usd-per-hour 2 --price-in 1 --price-out 4 --load {row['break_even_load']}")
    assert float(at["usd_per_query"]) == pytest.approx(0.004, rel=1e-9) and float(at["margin"]) == pytest.approx(0, abs=1e-9)
    (cheap,) = rows(f"{LINE} --usd-per-hour 2 --price-in 0.0001 --price-out 0.0001")
    assert cheap["break_even_tok_per_day"] == cheap["break_even_load"] == "" and float(cheap["margin"]) < 0
    # with power that depends on the load, too
    given = f"{LINE} --capex 20000 --years 3 --power-price 0.2 --price-in 1 --price-out 4"
    (row,) = rows(given)
    (at,) = rows(f"{given} --load {row['break_even_load']}")
    assert float(at["usd_per_query"]) == pytest.approx(0.004, rel=1e-9)


def test_other_commands_price_alike() -> None:
    # 35,040 USD over 4 years and 700 W at 1 USD/kWh: 1.7 USD an hour
    own, hourly = "--capex 35040 --years 4 --power-price 1", "--usd-per-hour 1.7"
    for line in (
        "vote llama-3.1-8b h100-sxm --prefix 1k --suffix 100 --streams 2",
        "rollouts llama-3.1-8b h100-sxm --problems 10 --rollouts 4 --tokens 100",
        "plan llama-3.1-8b h100-sxm --isl 1k --osl 100 --batch 5",
    ):
        (one,), (other,) = rows(f"{line} {own}"), rows(f"{line} {hourly}")
        stated = {"capex": "35040", "years": "4", "power_price": "1"}
        assert {name: one[name] for name in stated} == stated
        for name in ("usd_per_query", "usd", "usd_per_mtok_out", "usd_per_hour"):
            if name in other:
                assert float(one[name]) == pytest.approx(float(other[name]), rel=1e-9)


def test_a_plan_pays_for_power_at_its_load() -> None:
    line = "plan llama-3.1-8b h100-sxm --isl 1k --osl 100 --requests-per-second 5"
    (row,) = rows(f"{line} --capex 35040 --years 4 --power-price 1")
    busy = float(row["busy"])
    assert 0 < busy < 0.9
    # 1 USD, and 0.7 kW · (0.15 + 0.85 · busy) at 1 USD
    hour = int(row["devices"]) * (1 + 0.7 * (0.15 + 0.85 * busy))
    assert float(row["usd_per_hour"]) == pytest.approx(hour, rel=1e-9)
    assert float(row["usd_per_mtok_out"]) == pytest.approx(hour / 3600 / (5 * 100) * 1e6, rel=1e-9)


def test_apis_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "api_prices.csv").write_text(
        "api,usd_per_mtok_in,usd_per_mtok_out,date,source,notes,usd_per_mtok_cached_in\n"
        "north/rain-9b,1,4,2026-01,https://north.example/prices,,0.25\n"
        "north/hail-2b,1,1,2026-01,https://north.example/prices,,\n"
        "south/hail-2b,2,2,2026-01,https://south.example/prices,,\n"
        "fog-1,3,3,2026-01,https://fog.example/prices,,\n"
    )
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    for name in ("rain-9b", "north/rain-9b", "Rain 9B", "RAIN_9b"):
        result = run(f"{LINE} --api '{name}' --usd-per-hour 1")
        assert result.exit_code == 0 and "note: north/rain-9b: 1 USD per million tokens in, 4 out, 0.25 in from its cache" in result.stderr
    assert rows(f"{LINE} --api weather/fog-1 --usd-per-hour 1")[0]["api_usd_per_query"] == "0.0075"
    assert "is offered by several: north/hail-2b, south/hail-2b" in refused(f"{LINE} --api hail-2b")
    assert "unknown API 'east/hail-2b'; did you mean" in refused(f"{LINE} --api east/hail-2b")
    # half of the prompt is found in the caches: 1,000 tokens at 1, 1,000 at 0.25, 500 at 4 USD per million
    (row,) = rows(f"{LINE} --api rain-9b --usd-per-hour 1 --hit-rate 0.5")
    assert float(row["api_usd_per_query"]) == pytest.approx((1000 + 250 + 2000) / 1e6)
    assert "no price of cached tokens" in run(f"{LINE} --api fog-1 --usd-per-hour 1 --hit-rate 0.5").stderr


def test_bad_prices() -> None:
    assert "--load: expected" in refused(f"{LINE} --load 0") and "--load: expected" in refused(f"{LINE} --load 1.5")
    assert "--capex, --years: give both" in refused(f"{LINE} --capex 30000")
    assert "--capex, --years: give both" in refused(f"{LINE} --years 3")
    assert "--usd-per-hour: give the price of an hour, or" in refused(f"{LINE} --usd-per-hour 2 --capex 30000 --years 3")
    assert "--usd-per-hour: give the price of an hour, or" in refused(f"{LINE} --usd-per-hour 2 --power-price 0.1")
    assert "--pue: give --power-price too" in refused(f"{LINE} --usd-per-hour 2 --pue 1.2")
    assert "--pue: expected 1 to 100" in refused(f"{LINE} --power-price 0.1 --pue 0.9")
    assert "power is not known" in run("cost llama-3.1-8b tests/examples/hardware/a-torus.yaml --query 10:10 --power-price 0.1").stderr


def test_energy_of_a_compared_machine_counts_its_idle_power() -> None:
    # 10 requests of 500 tokens a second; an H100 draws 700 W, idle 15 % of it; `plan` says how busy it is
    load = "gpt-oss-20b h100-sxm {}--isl 2k --osl 500 --requests-per-second 10 --interactivity 30"
    (plan,) = rows(f"plan {load.format('')}")
    first, _ = rows(f"compare {load.format('l40s ')}")
    watts = 700 * float(plan["devices"]) * (0.15 + 0.85 * float(plan["busy"]))
    assert float(first["joule_per_token"]) == pytest.approx(watts / 5000)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cost llama-3.1-8b h100-sxm --query 4k:500 --idle-power 0.5", "--idle-power: no machine waits at full load; give --load below 1"),
        ("plan llama-3.1-8b h100-sxm --seq 8k --idle-power 0.5", "--idle-power: no machine waits at full load"),
        ("compare llama-3.1-8b h100-sxm l40s --idle-power 0.5", "--idle-power: no machine waits at full load"),
        ("plan llama-3.1-8b h100-sxm --isl 4k --osl 500 --requests-per-second 3 --idle-power 0.5", "--idle-power: give --power-price too"),
    ],
)
def test_idle_power_that_changes_nothing_is_refused(line: str, message: str) -> None:
    assert message in refused(line)
