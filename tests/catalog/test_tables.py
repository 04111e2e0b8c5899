"""CSV tables of CPU cores and API prices: users' rows before the built-in ones, and every problem with file and line."""

from pathlib import Path

import pytest

from roofcalc.catalog import api_prices, cpus, lookup
from roofcalc.errors import RoofcalcError


def write(folder: Path, kind: str, name: str, *lines: str) -> Path:
    path = folder / kind / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_built_in_rows_have_https_sources() -> None:
    rows = [*cpus.cpus().values(), *api_prices.api_prices().values()]
    assert len(rows) >= 15 and all(row.source.startswith("https://") for row in rows)
    assert all("2023-01" <= row.date <= "2027" for row in api_prices.api_prices().values())


def test_every_cpu_of_a_system_that_has_a_row_is_spelt_alike() -> None:
    named = {system.hosts.cpu for name in lookup.entries("hardware") if (system := lookup.hardware(name)[0].system) and system.hosts}
    assert set(cpus.cpus()) <= named  # a row that no system refers to is a misspelling


def test_users_rows_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    write(tmp_path, "hardware", "cpus.csv", ",".join(cpus.HEADER), "NVIDIA Grace,70,x,", "mine,8,x,a note", "mine,9,x,")
    write(
        tmp_path,
        "models",
        "api_prices.csv",
        ",".join(api_prices.HEADER),
        "GPT-4o,1,2,2025-01,x,",
        "mine,3,4,2025-01,x,",
        "mine,5,6,2026-01,x,",
        "mine,7,8,2026-01,x,",
    )
    known = cpus.cpus()
    assert (known["NVIDIA Grace"].cores, known["mine"].cores, known["NVIDIA Vera"].cores) == (70, 8, 88)
    system = lookup.hardware("gb200-nvl72")[0].system
    assert cpus.cores_per_device(system) == 36 * 70 / 72
    assert (api_prices.api_price("gpt-4o").price_in, api_prices.api_price("Mine").price_out) == (1, 6)  # the newest, then the first
    assert api_prices.api_price("o1-mini").price_in == 3


def test_every_problem_of_a_table_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    path = write(tmp_path, "hardware", "cpus.csv", ",".join(cpus.HEADER), ",0,,", "a,1.5,x,", "a,²,x,", "a,100001,x,", "a,1,x")
    with pytest.raises(RoofcalcError) as caught:
        cpus.cpus()
    limit = f"cores: expected a whole number from 1 to {cpus.MAX_CORES}"
    assert caught.value.lines == (
        f"{path}:2: cpu: not given",
        f"{path}:2: {limit}, got '0'",
        f"{path}:2: source: not given",
        f"{path}:3: {limit}, got '1.5'",
        f"{path}:4: {limit}, got '²'",
        f"{path}:5: {limit}, got '100001'",
        f"{path}:6: expected 4 cells, got 3",
    )
    path = write(tmp_path, "models", "api_prices.csv", ",".join(api_prices.HEADER), ",0,x,2026-13,,", "")
    with pytest.raises(RoofcalcError) as caught:
        api_prices.api_price("gpt-4o")
    assert caught.value.lines == (
        f"{path}:2: api: not given",
        f"{path}:2: usd_per_mtok_in: expected a number above 0, got '0'",
        f"{path}:2: usd_per_mtok_out: expected a number above 0, got 'x'",
        f"{path}:2: date: expected YYYY-MM or YYYY-MM-DD, got '2026-13'",
        f"{path}:2: source: not given",
    )
    path = write(tmp_path, "models", "api_prices.csv", "name,price")
    with pytest.raises(RoofcalcError, match="expected the header api,usd_per_mtok_in"):
        api_prices.api_prices()
