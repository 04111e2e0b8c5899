"""Sensitivity of a replica's largest load to hardware figures and the KV dtype."""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.deployment.speculative import with_layout
from roofcalc.solvers.planner.demand import Demand
from roofcalc.solvers.planner.replica import max_load
from roofcalc.specs.device import Hardware
from roofcalc.specs.dtypes import dtype
from roofcalc.specs.record import replace

STEP = 0.1  # relative increase of a figure


def sensitivity(demand: Demand, deployment: Deployment, carried: float) -> dict[str, float]:
    """Relative increase of a replica's largest load with each hardware figure raised by `STEP`, and with an fp8 KV cache.

    `demand` is a single demand, `carried` the largest load without a change.
    """
    machine, layout = deployment.hardware, deployment.layout
    changed = {f"{name} +{STEP * 100:.0f} %": with_layout(deployment, one, layout) for name, one in _more(machine).items()}
    if deployment.kv.bytes_per_element > dtype("fp8").bytes_per_element:
        changed["fp8 KV"] = with_layout(replace(deployment, kv=dtype("fp8")), machine, layout)
    return {name: float(max_load(demand, one).most[0]) / carried - 1 for name, one in changed.items()}


def _more(machine: Hardware) -> dict[str, Hardware]:
    """The machine with each figure raised by `STEP`."""
    device, more = machine.device, 1 + STEP
    memory, link = device.memory, machine.link

    def grown(value: float | None) -> float | None:
        return None if value is None else value * more

    fast = replace(memory, bandwidth_gb_s=memory.bandwidth_gb_s * more)
    large = replace(memory, capacity_gb=memory.capacity_gb * more, visible_mib=grown(memory.visible_mib))
    best = replace(device.best, bandwidth_gb_s=grown(device.best.bandwidth_gb_s))
    wide = link and replace(link, gb_s=link.gb_s * more, pair_gb_s=grown(link.pair_gb_s))
    return {
        "bandwidth": replace(machine, device=replace(device, memory=fast, best=best)),
        "capacity": replace(machine, device=replace(device, memory=large)),
        "FLOPs": replace(machine, device=replace(device, peak_tflop_s={name: peak * more for name, peak in device.peak_tflop_s.items()})),
        "link": replace(machine, link=wide, scale_out_bytes_per_s=grown(machine.scale_out_bytes_per_s)),
    }
