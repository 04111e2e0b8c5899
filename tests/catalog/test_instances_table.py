"""The tables beside the devices: cloud instances, MIG slices and PCIe. Figures by the makers' and sellers' own pages."""

import csv
import re
from typing import Any

import pytest

from roofcalc.catalog import lookup
from roofcalc.specs.device import Device
from tests.each import each

FOLDER = lookup.built_in("hardware")
DEVICES = {name: found.device for name in lookup.entries("hardware") if not (found := lookup.hardware(name)[0]).system}


def table(name: str) -> list[dict[str, Any]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


INSTANCES = {row["instance"]: row for row in table("instances.csv")}
SLICES = {(row["device"], row["profile"]): row for row in table("mig.csv")}
PCIE = {row["device"]: row for row in table("pcie.csv")}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("instances.csv", ["instance", "provider", "device", "count", "scale_out_gb_s", "source"]),
        ("mig.csv", ["device", "profile", "compute_share", "memory_gb", "bandwidth_share", "source"]),
        ("pcie.csv", ["device", "generation", "lanes", "peer_to_peer", "source"]),
    ],
)
def test_a_table_parses_and_every_row_has_a_device_and_a_source(name: str, columns: list[str]) -> None:
    rows = table(name)
    assert rows and all(list(row) == columns for row in rows)
    for row in rows:
        assert row["device"] in DEVICES, row
        assert re.fullmatch(r"https://\S+", row["source"]), row
        assert all(value == value.strip() for value in row.values()), row


def test_no_row_is_given_twice() -> None:
    assert (len(table("instances.csv")), len(table("mig.csv")), len(table("pcie.csv"))) == (len(INSTANCES), len(SLICES), len(PCIE))


@each(INSTANCES)
def test_an_instance_is_written_as_its_provider_does_in_lower_case(name: str) -> None:
    row = INSTANCES[name]
    assert name == name.lower() and re.fullmatch(r"[a-z0-9._-]+", name)
    assert 1 <= int(row["count"]) <= 16
    if row["scale_out_gb_s"]:
        assert 0.1 <= float(row["scale_out_gb_s"]) <= 100
    known = {lookup.normal(word) for word in lookup.entries("hardware")}
    assert lookup.normal(name) not in known, "the catalog has a file of this name: keep the file"


@pytest.mark.parametrize(
    ("name", "device", "count", "gbit_s"),
    [
        # AWS's pages by Vantage (tsaol/aws-gpu): devices, and Gb/s of the whole instance where it is not a burst
        ("p5.4xlarge", "h100-sxm", 1, 100),
        ("g6e.2xlarge", "l40s", 1, None),
        ("g6e.24xlarge", "l40s", 4, 200),
        ("g7e.12xlarge", "rtx-pro-6000-server", 2, 400),
        ("inf2.24xlarge", "inferentia2", 6, 50),
        # Azure's documentation: 20,000 to 80,000 Mbps for one to four A100; 40,000 and 80,000 for one and two H100 NVL
        ("standard_nc24ads_a100_v4", "a100-pcie-80gb", 1, 20),
        ("standard_nc96ads_a100_v4", "a100-pcie-80gb", 4, 80),
        ("standard_nc80adis_h100_v5", "h100-nvl", 2, 80),
        ("standard_nd96asr_v4", "a100-sxm-40gb", 8, 1600),  # 320 GB of devices; HDR InfiniBand of 200 Gb/s for each
        ("standard_nd128isr_ndr_gb200_v6", "gb200", 4, None),
        # Oracle's shapes: two network cards of 100 Gb/s for each device
        ("bm.gpu4.8", "a100-sxm-40gb", 8, 1600),
        ("vm.gpu.a10.2", "a10", 2, None),
        ("gpu_8x_a100_80gb_sxm4", "a100-sxm-80gb", 8, None),
        ("a4x-highgpu-4g", "gb200", 4, 1600),  # Google's page of networks: four cards of 400 Gb/s
        ("a2-megagpu-16g", "a100-sxm-40gb", 16, None),
        ("g2-standard-96", "l4", 8, None),
    ],
)
def test_instances_by_their_sellers_pages(name: str, device: str, count: int, gbit_s: float | None) -> None:
    row = INSTANCES[name]
    assert (row["device"], int(row["count"])) == (device, count)
    assert (float(row["scale_out_gb_s"]) * 8 * count if row["scale_out_gb_s"] else None) == (gbit_s and pytest.approx(gbit_s))


@each([name for name, row in INSTANCES.items() if row["provider"] in ("GCP", "Lambda")])
def test_the_count_is_what_the_name_says(name: str) -> None:
    # a2-highgpu-8g, ct5lp-hightpu-1t and gpu_4x_a6000 carry their number of devices; g2-standard-N and g4-standard-N carry vCPUs
    told = re.search(r"(?:gpu|tpu|standard)-(\d+)[gt]\b|^gpu_(\d+)x_|^v\w+-(\d+)$", name)
    if told:
        assert int(INSTANCES[name]["count"]) == int(next(filter(None, told.groups())))
    else:
        vcpus = int(name.rpartition("-")[2])
        assert int(INSTANCES[name]["count"]) == {"g2": max(1, vcpus // 12 if vcpus not in (16, 32) else 1), "g4": vcpus // 48}[name[:2]]


@pytest.mark.parametrize(
    ("device", "profile", "compute", "bandwidth"),
    [
        # NVIDIA's MIG guide: fraction of the SMs, fraction of the memory
        ("a30", "1g.6gb", 1 / 4, 1 / 4),
        ("a30", "2g.12gb", 2 / 4, 2 / 4),
        ("a100-sxm-40gb", "1g.5gb", 1 / 7, 1 / 8),
        ("a100-sxm-40gb", "3g.20gb", 3 / 7, 4 / 8),
        ("a100-sxm-80gb", "1g.20gb", 1 / 7, 2 / 8),
        ("h100-sxm", "3g.40gb", 3 / 7, 4 / 8),
        ("h100-sxm", "4g.40gb", 4 / 7, 4 / 8),
        ("h100-nvl", "2g.24gb", 2 / 7, 2 / 8),
        ("h200-sxm", "3g.71gb", 3 / 7, 4 / 8),
        ("b200-sxm", "1g.23gb", 1 / 7, 1 / 8),
        ("gb200", "7g.186gb", 1, 1),
        ("b300-sxm", "4g.135gb", 4 / 7, 4 / 8),
        ("rtx-pro-6000-server", "1g.24gb", 1 / 4, 1 / 4),
    ],
)
def test_slices_by_the_guide(device: str, profile: str, compute: float, bandwidth: float) -> None:
    row = SLICES[device, profile]
    assert float(row["compute_share"]) == pytest.approx(compute, rel=1e-5)
    assert float(row["bandwidth_share"]) == bandwidth


@each([(key,) for key in SLICES])
def test_a_slice_is_a_part_of_its_device(key: tuple[str, str]) -> None:
    row, memory = SLICES[key], DEVICES[key[0]].memory
    told = re.fullmatch(r"(\d)g\.(\d+)gb", key[1])
    assert told and int(row["memory_gb"]) == int(told[2])
    assert float(row["compute_share"]) <= 1 and float(row["bandwidth_share"]) <= 1
    # The name rounds the slice's GiB; B300's seven slices are of the 269 GiB that its driver shows, of 288 GB
    share = int(row["memory_gb"]) / memory.capacity_gb
    assert share == pytest.approx(float(row["bandwidth_share"]), rel=0.09)


# Parts of a computer without a slot: their memory is the host's, or their links leave the chip for a network of their own
SLOTLESS = {"gb10", "gb300-station", "gh200-96gb", "ryzen-ai-max-395", "cerebras-wse-3", "sn40l", "mtia-v2", "n150"}


def linkless(device: Device) -> bool:
    return device.link is None or (device.vendor == "NVIDIA" and "bridge" in (device.link.kind or ""))


def test_every_card_without_a_link_has_its_slot() -> None:
    cards = {name for name, device in DEVICES.items() if linkless(device) and device.vendor != "Apple" and not name.startswith("jetson-")}
    assert cards - SLOTLESS <= set(PCIE)


@each(PCIE)
def test_slots_are_plausible(name: str) -> None:
    row, device = PCIE[name], DEVICES[name]
    assert int(row["lanes"]) in (8, 16) and row["peer_to_peer"] in ("true", "false")
    # First with generation 4: Ampere, Ada, CDNA and RDNA 3; with 5: Hopper, Blackwell, RDNA 4
    generations = {"Pascal": 3, "Volta": 3, "Turing": 3, "Ampere": 4, "Ada Lovelace": 4, "Hopper": 5, "Blackwell": 5, "RDNA 3": 4, "RDNA 4": 5}
    assert int(row["generation"]) == generations.get(device.family or "", int(row["generation"]))


@pytest.mark.parametrize(
    ("name", "slot"),
    [
        ("rtx-4090", (4, 16, "false")),  # NVIDIA at its forum, by PurePC: no peer-to-peer since GeForce RTX 30
        ("rtx-3090", (4, 16, "false")),
        ("rtx-2080-ti", (3, 16, "false")),  # NVIDIA/nccl-tests#117: peers cannot be accessed without the bridge
        ("gtx-1080-ti", (3, 16, "true")),
        ("rtx-4060-ti-16gb", (4, 8, "false")),
        ("rtx-5090", (5, 16, "false")),
        ("rtx-pro-6000-max-q", (5, 16, "true")),  # voipmonitor/rtx6kpro: 54 GB/s from peer to peer
        ("l40s", (4, 16, "true")),
        ("arc-pro-b60", (5, 8, "true")),
    ],
)
def test_slots(name: str, slot: tuple[int, int, str]) -> None:
    row = PCIE[name]
    assert (int(row["generation"]), int(row["lanes"]), row["peer_to_peer"]) == slot
