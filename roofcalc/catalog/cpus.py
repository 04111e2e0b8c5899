"""Cores of the CPUs in accelerators' hosts: what sandboxes for generated code can run on beside them."""

from __future__ import annotations

from typing import NamedTuple

from roofcalc.specs.device import System
from roofcalc.specs.formula import formula


class Cpu(NamedTuple):
    """Cores of one package, and where that stands."""

    cores: int
    source: str


_MLPERF = "https://raw.githubusercontent.com/mlcommons"

CPUS = {
    "NVIDIA Grace": Cpu(
        72, "https://uniexeterrse.github.io/gw4-isambard-3-practical-workshop-2026/section_01_welcome_login_overview/02-grace-cpu-superchip.html"
    ),
    "NVIDIA Vera": Cpu(88, "https://nexttech-news.com/?p=67034"),
    "Intel Xeon Platinum 8480C": Cpu(56, f"{_MLPERF}/inference_results_v4.1/main/closed/NVIDIA/systems/H200-SXM-141GBx8_TRT_MaxQ.json"),
    "Intel Xeon Platinum 8570": Cpu(56, "https://docs.nvidia.com/dgx/dgxb200-user-guide/introduction-to-dgxb200.html"),
    "Intel Xeon Platinum 8470": Cpu(
        52, "https://github.com/mlcommons/inference_results_v3.1/blob/main/closed/Dell/systems/XE9680_H100_SXM_80GBx8_TRT.json"
    ),
    "Intel Xeon 6776P": Cpu(64, "https://completeaitraining.com/news/intel-xeon-6-priority-cores-emerge-as-key-feature-in-nvidia/"),
    "Intel Xeon E5-2698 v4": Cpu(20, "https://vengineer.hatenablog.com/entry/2023/01/21/090000"),
    "AMD EPYC 7742": Cpu(64, "https://vengineer.hatenablog.com/entry/2023/01/21/090000"),
    "AMD EPYC 7V12": Cpu(64, "https://gist.github.com/cyring/84a0daca5f47821ffa4ecc959fa1df70"),
    "AMD EPYC 9374F": Cpu(32, f"{_MLPERF}/inference_results_v4.1/main/closed/AMD/systems/8xMI300X_2xEPYC-9374F.json"),
    "AMD EPYC 9575F": Cpu(64, f"{_MLPERF}/inference_results_v6.1/main/summary.json"),
}


@formula("cores_per_device = cpus·cores/devices")
def cores_per_device(system: System | None) -> float | None:
    """CPU cores of a system's hosts for each of its devices; None where hosts or their cores are not known."""
    hosts = system.hosts if system else None
    cpu = CPUS.get(hosts.cpu) if hosts and hosts.cpu else None
    return hosts.count * cpu.cores / system.count if system and hosts and cpu else None
