"""CSV tables of CPU cores and API prices: users' rows before the built-in ones, and every problem with file and line."""

import re
from pathlib import Path

import pytest

from roofcalc.catalog import api_prices, cpus, hosts, lookup
from roofcalc.errors import RoofcalcError
from roofcalc.specs.device import Hosts


def write(folder: Path, kind: str, name: str, *lines: str) -> Path:
    path = folder / kind / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_built_in_rows_have_https_sources() -> None:
    rows = [*cpus.cpus().values(), *api_prices.api_prices().values()]
    assert len(rows) >= 40 and all(row.source.startswith("https://") for row in rows)
    assert all(row.figures_source for row in cpus.cpus().values())
    assert all(address.startswith("https://") for row in cpus.cpus().values() for address in row.figures_source)
    assert all(row.source.startswith("https://") for row in cpus.architectures().values())
    assert {row.architecture for row in cpus.cpus().values()} <= {"", *cpus.architectures()}
    assert all("2023-01" <= row.date <= "2027" for row in api_prices.api_prices().values())


# CPUs of hosts that have no row for lack of a source for their cores, or because the provider names no model.
WITHOUT_A_ROW = {
    *("AMD EPYC, third generation", "Intel Xeon, Emerald Rapids", "Intel Xeon, Sapphire Rapids", "Huawei Kunpeng", "Huawei Kunpeng 920"),
    *("AMD EPYC 7A53", "AMD EPYC 7B12", "AMD EPYC 7B13", "AMD EPYC 9B14"),
    *("Intel Xeon CPU Max 9470C", "Intel Xeon Platinum 8275CL", "Intel Xeon Platinum 8380", "Intel Xeon Platinum 8481C"),
}


def test_every_cpu_of_a_host_has_a_row_or_a_reason() -> None:
    machines = [lookup.hardware(name)[0] for name in lookup.entries("hardware")]
    named = {found.cpu for machine in machines if (found := hosts.hosts_of(machine)) and found.cpu}
    assert named - set(cpus.cpus()) == WITHOUT_A_ROW


def test_memory_bandwidth_is_that_of_the_channels() -> None:
    checked = 0
    for cpu in cpus.cpus().values():
        if found := re.fullmatch(r"(\d+)x (?:DDR|MRDIMM)\d?-(\d+)", cpu.memory):  # eight bytes a transfer
            assert cpu.memory_gb_s == pytest.approx(int(found[1]) * 8 * int(found[2]) / 1000), cpu.name
            checked += 1
    assert checked >= 38


# The catalog describes these CPUs as devices too: cores, clock, bandwidth and peaks, with sources of their own.
@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("AMD EPYC 9554", "epyc-9554"),
        ("AMD EPYC 9654", "epyc-9654"),
        ("AMD EPYC 9965", "epyc-9965"),
        ("Intel Xeon Platinum 8480+", "xeon-8480"),
        ("Intel Xeon 6980P", "xeon-6980p"),
        ("NVIDIA Grace", "grace-480gb"),
    ],
)
def test_a_host_cpu_and_the_same_cpu_as_a_device_agree(name: str, device: str) -> None:
    cpu, found = cpus.cpus()[name], lookup.hardware(device)[0].device
    peaks = cpu.peak_tflop_s()
    assert peaks
    assert all(found.peak_tflop_s[kind] == pytest.approx(peak, rel=5e-3) for kind, peak in peaks.items())
    if not (found.memory.kind or "").startswith("MRDIMM"):  # the row is of DDR5-6400
        assert found.memory.bandwidth_gb_s == cpu.memory_gb_s


def test_peak_of_a_cpu() -> None:
    # 56 cores at 2.0 GHz with 1024 operations a clock of bf16 (AMX)
    assert cpus.peak_tflop_s(56, 2.0, 1024) == pytest.approx(114.688)
    assert cpus.cpu("xeon 8480C").peak_tflop_s()["bf16"] == pytest.approx(114.688)


def test_a_cpu_by_name() -> None:
    assert cpus.cpu("epyc 9654").name == cpus.cpu("AMD EPYC 9654").name == "AMD EPYC 9654"
    assert cpus.cpu("Xeon 8480+").name == "Intel Xeon Platinum 8480+"
    with pytest.raises(RoofcalcError, match=r"unknown CPU 'epyc 9655x'.*did you mean epyc 9655"):
        cpus.cpu("epyc 9655x")


@pytest.mark.parametrize(
    ("name", "packages", "memory_gb", "memory_gb_s", "link_gb_s", "kind"),
    [
        ("dgx-h100", 2, 2048, 2 * 8 * 8 * 4.8, 63.02, "PCIe 5.0 x16"),  # two packages of eight channels
        ("dgx-a100-80gb", 2, 2048, 2 * 8 * 8 * 3.2, 31.51, "PCIe 4.0 x16"),
        ("dgx-b300", 2, 2048, 2 * 8 * 8 * 6.4, 63.02, "PCIe 5.0 x16"),  # the GPU has generation 6, its host 5
        ("gb200-nvl72", 36, 17280, 36 * 384, 225, "NVLink-C2C"),  # 900 GB/s both ways for the two GPUs of a Grace
        ("gh200-96gb", 1, 480, 384, 450, "NVLink-C2C"),
        ("4xgb200", 2, 960, 768, 225, "NVLink-C2C"),
        ("p5.48xlarge", 2, 2048, None, 63.02, "PCIe 5.0 x16"),  # no model named
    ],
)
def test_hosts_of_a_machine(name: str, packages: float, memory_gb: float, memory_gb_s: float | None, link_gb_s: float, kind: str) -> None:
    found = hosts.host(lookup.hardware(name)[0])
    assert found is not None and found.link_known
    assert (found.packages, found.memory_gb, found.link_kind) == (packages, memory_gb, kind)
    assert found.memory_gb_s == (None if memory_gb_s is None else pytest.approx(memory_gb_s))
    assert found.link_gb_s == pytest.approx(link_gb_s, abs=0.01)


def test_hosts_that_there_are_not() -> None:
    assert hosts.host(lookup.hardware("rtx-4090")[0]) is None  # a card: which host it is in is not known
    for name in ("gb10", "m4-max", "ryzen-ai-max-395", "jetson-agx-orin-64gb", "mi300a", "xeon-8480", "dgx-spark-pair"):
        machine = lookup.hardware(name)[0]
        assert machine.device.memory.shared_with_host and hosts.host(machine) is None


def test_a_system_may_give_the_bandwidth_of_its_hosts() -> None:
    given = Hosts(count=2, cpu="AMD EPYC 9654", memory_gb=512, memory_gb_s=300)
    device = lookup.hardware("rtx-4090")[0].device
    found = hosts.described(given, device, 4)
    assert found.memory_gb_s == 300 and found.peak_tflop_s["fp32"] == pytest.approx(2 * 7.3728)
    assert found.link_kind == "PCIe 4.0 x16"


def test_a_table_with_the_first_columns_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    path = write(tmp_path, "hardware", "cpus.csv", "cpu,cores,source,notes", "mine,8,x,a note")
    assert cpus.cpus()["mine"] == cpus.Cpu("mine", 8, "x", "a note")
    path.write_text("cpu,cores,source,notes,architecture,base_ghz,memory,memory_gb_s,pcie_generation\nmine,8,x,,,2,,-1,7\n")
    with pytest.raises(RoofcalcError) as caught:
        cpus.cpus()
    assert caught.value.lines == (
        f"{path}:2: pcie_generation: expected one of 3, 4, 5, 6, got '7'",
        f"{path}:2: figures_source: not given",
        f"{path}:2: memory_gb_s: expected a number above 0, got '-1'",
    )


def test_users_rows_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOFCALC_PATH", str(tmp_path))
    write(tmp_path, "hardware", "cpus.csv", ",".join(cpus.HEADER[:4]), "NVIDIA Grace,70,x,", "mine,8,x,a note", "mine,9,x,")
    write(
        tmp_path,
        "models",
        "api_prices.csv",
        ",".join(api_prices.HEADER[: api_prices.REQUIRED]),
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
    path = write(tmp_path, "hardware", "cpus.csv", ",".join(cpus.HEADER[:4]), ",0,,", "a,1.5,x,", "a,²,x,", "a,100001,x,", "a,1,x")
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
    path = write(tmp_path, "models", "api_prices.csv", ",".join(api_prices.HEADER[: api_prices.REQUIRED]), ",0,x,2026-13,,", "")
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


def test_hosted_models_of_many_providers() -> None:
    known = api_prices.api_prices()
    providers = {name.split("/")[0] for name in known if "/" in name}
    assert len(known) >= 29 and providers >= {"deepseek", "xai", "mistral", "groq", "together", "fireworks"}
    for price in known.values():  # output costs as much as input or more, a cache hit less than input
        assert price.price_in <= price.price_out and (price.price_cached_in is None or price.price_cached_in < price.price_in), price.name
    found = api_prices.api_price("Claude-Haiku-4.5")  # Anthropic: 1, 5 and 0.10 dollars
    assert (found.price_in, found.price_out, found.price_cached_in) == (1, 5, 0.1)
    assert api_prices.api_price("o1-mini").price_cached_in is None
