"""Explains the inputs of a request: figures of its model, machine, precision and layout, by the symbols of the formulas."""

from __future__ import annotations

from roofcalc.deployment.deployment import Deployment
from roofcalc.report.explain.render import Line, Section


def sections(deployment: Deployment) -> list[Section]:
    """Sections on the model, the machine, and layout and precision."""
    model, hardware, layout, assumed = deployment.model, deployment.hardware, deployment.layout, deployment.assumptions
    device = hardware.device
    of_model = [Line("layers", model.layers), Line("hidden size", model.hidden), Line("vocabulary", model.vocab, "tokens")]
    for name, layers in model.groups.items():
        for part in model.blocks[name].parts:
            shown = [(field.name, getattr(part, field.name), field.default) for field in part.fields_]
            said = {key: str(value).lower() if isinstance(value, bool) else value for key, value, default in shown if value != default}
            words = ", ".join(f"{key} {value}" for key, value in said.items())
            of_model.append(Line(f"{name}, {layers} layers", f"{part.type}: {words}"))
    formats = dict.fromkeys(deployment.linear_format(name) for name in deployment.linear_classes)
    of_machine = [Line("devices", hardware.count)]
    of_machine += [Line(f"F in {name}", deployment.flop_per_s(name) or "no peak listed", "FLOP/s") for name in formats if name]
    attention = deployment.attention_format
    of_machine += [Line("F of attention", deployment.flop_per_s(attention) or 0.0, f"FLOP/s in {attention}")] if attention else []
    of_machine += [
        Line("β", deployment.memory_bytes_per_s, "B/s"),
        Line("capacity", deployment.capacity_bytes, f"B of one device, {assumed.capacity} figure"),
    ]
    if hardware.link:
        of_machine.append(Line("λ", hardware.link.gb_s * 1e9, f"B/s per direction, D_s = {hardware.domain} devices, {hardware.link.shape}"))
    if hardware.scale_out_bytes_per_s:
        of_machine.append(Line("λ_out", hardware.scale_out_bytes_per_s, "B/s per direction between domains"))
    degrees = {"t": layout.tp, "p": layout.pp, "d": layout.dp, "e": layout.ep, "dcp": layout.dcp}
    of_run = [Line(name, float(value)) for name, value in degrees.items()]
    stored = {name: deployment.weight_dtype(name) for name in (*deployment.linear_classes, "embed", "norm")}
    of_run += [Line(f"w of {name}", dtype.bytes_per_element, f"B, {dtype.name}") for name, dtype in stored.items()]
    of_run.append(Line("c", deployment.kv.bytes_per_element, f"B per cache element, {deployment.kv.name}"))
    return [
        Section(f"Model: {model.name}", tuple(of_model), f"from {model.sources[0]}" if model.sources else ""),
        Section(f"Machine: {hardware.name}", tuple(of_machine), f"from {device.sources[0]}" if device.sources else ""),
        Section("Layout and precision", tuple(of_run), f"preset {assumed.assume}, overlap {assumed.overlap}, network {assumed.network}"),
    ]
