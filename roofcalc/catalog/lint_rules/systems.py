"""Lint rules for systems: plausible hosts, power and links."""

from roofcalc.catalog.lint_rules.devices import link_issues, scale_out_issues
from roofcalc.catalog.lint_rules.finding import Issue, Issues, outside
from roofcalc.specs.device import Hardware, System


def issues(hardware: Hardware, system: System) -> Issues:
    """All findings for a system; its device is checked in its own file."""
    device, n = hardware.device, system.count
    yield from link_issues(system.link, device)
    yield from scale_out_issues(system.scale_out_gb_s, device)
    if hardware.domain > n:
        yield Issue("link", f"connects {hardware.domain} devices, but the system has {n}: give the system its own link", "warning", excusable=True)
    if system.power_kw and device.power_w:
        hint = f"{system.power_kw:g} kW for {n} devices of {device.power_w:g} W"
        yield from outside("power_kw", "power of the system over that of its devices", system.power_kw * 1e3 / (n * device.power_w), 0.8, 6, hint)
    if system.hosts:
        hint = f"hosts.count are CPU packages ({system.hosts.count:g}), not cores, for {n} devices"
        yield from outside("hosts.count", "CPU packages per device", system.hosts.count / n, 0, 2, hint)
        if system.hosts.memory_gb:  # absent where devices and host share one memory
            hint = f"hosts.memory_gb is in GB over all hosts ({system.hosts.memory_gb:g})"
            yield from outside("hosts.memory_gb", "host memory in GB per device", system.hosts.memory_gb / n, 4, 20_000, hint)
