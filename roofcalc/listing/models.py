"""The catalogs as tables: every entry in a line, or one entry figure by figure, with its sources."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from roofcalc import catalog
from roofcalc.architecture.attention import GQA
from roofcalc.architecture.feedforward import Experts
from roofcalc.architecture.model import Block, Model
from roofcalc.architecture.parameters import as_published, count
from roofcalc.errors import RoofcalcError
from roofcalc.hardware import FORMATS, Hardware, Link
from roofcalc.report.table import Block as Rows
from roofcalc.report.table import Column, Table

_SHOW = (
    Column("figure", "figure", "", "what it is", "text", 9),
    Column("unit", "unit", "", "of the value", "any", 9),
    Column("value", "value", "", "a number or words", "any", 9),
)
_NAME = Column("name", "name", "", "catalog name", "text", 9)

_HARDWARE = (
    _NAME,
    Column("kind", "kind", "", "device or system", "text", 6),
    Column("vendor", "vendor", "", "maker", "text", 5),
    Column("year", "year", "", "of release", "text", 4),
    Column("devices", "devices", "", "in the system", "count", 7),
    Column("memory_gb", "memory", "GB", "nominal, of all devices", "number", 8),
    Column("bandwidth_gb_s", "bandwidth", "GB/s", "of all devices", "number", 8),
    Column("bf16_tflop_s", "bf16", "TFLOP/s", "dense, of all devices (fp16 where there is no bf16)", "number", 8),
    Column("fp8_tflop_s", "fp8", "TFLOP/s", "dense, of all devices", "number", 7),
    Column("link_gb_s", "link", "GB/s", "scale-up, per device and direction", "number", 6),
    Column("domain", "domain", "", "devices that the link joins", "count", 6),
)
_MODELS = (
    _NAME,
    Column("publisher", "publisher", "", "who released it", "text", 6),
    Column("kind", "kind", "", "dense, moe, hybrid or recurrent", "text", 7),
    Column("layers", "layers", "", "number of layers", "count", 7),
    Column("params", "parameters", "", "counted from the fields", "count", 9),
    Column("active", "active", "", "used by one token, without the input embedding", "count", 7),
    Column("context", "context", "tokens", "longest that the model supports", "count", 7),
    Column("kv_bytes_per_token", "KV", "bytes/token", "16-bit cache that grows with the context", "count", 8),
    Column("dtype", "dtype", "", "of the checkpoint", "text", 6),
)


def hardware_list() -> Table:
    """Every device and system of the catalogs, one line each."""
    table = Table("hardware list", _HARDWARE)
    rows = [_hardware_row(found) for found in _readable(table, "hardware", catalog.hardware)]
    return _filled(table, sorted(rows, key=lambda row: (row["kind"], row["vendor"] or "", _natural(row["name"]))))


def models_list() -> Table:
    """Every model of the catalogs, one line each."""
    table = Table("models list", _MODELS)
    models = list(_readable(table, "models", catalog.model))
    return _filled(table, [_model_row(model) for model in sorted(models, key=lambda model: _natural(model.name))])


def hardware_show(hardware: str) -> Table:
    """Every figure of the hardware named (several with commas between), and where it comes from."""
    names = _split(hardware, "hardware")
    table = Table("hardware show", (Column("hardware", "hardware", "", "name", "text", 9, "case"), *_SHOW))
    for name in names:
        found, notes = catalog.hardware(name)
        table.notes += notes
        _add(table, "hardware", found.name, list(_hardware_figures(found)))
    return table


def models_show(model: str) -> Table:
    """Every figure of the models named (several with commas between), and where it comes from."""
    table = Table("models show", (Column("model", "model", "", "name", "text", 9, "case"), *_SHOW))
    for name in _split(model, "model"):
        found, notes = catalog.model(name)
        table.notes += notes
        _add(table, "model", found.name, list(_model_figures(found)))
    return table


def kv_elements_per_token(model: Model) -> int:
    """Cache elements that each further token adds over all layers: windows, chunks and borrowers add none."""
    return sum(layers * _growing(model.blocks[name]) for name, layers in model.groups.items())


def _growing(block: Block) -> int:
    attention = block.attention
    if attention is None or (isinstance(attention, GQA) and (attention.window or attention.chunk or attention.kv == "shared")):
        return 0
    if attention.type == "pooled":
        ratio = attention.pool.ratio  # type: ignore[union-attr]
        return attention.entry_elements() // ratio if ratio else 0
    return attention.entry_elements()


Figure = tuple[str, Any, str]


def _hardware_figures(found: Hardware) -> Iterator[Figure]:
    device, system, n = found.device, found.system, found.count
    yield "title", (system.title if system else device.title) or found.name, ""
    yield "device", device.title or device.name, ""
    yield "devices", n, ""
    yield "vendor", device.vendor, ""
    if device.year:
        yield "year", str(device.year), ""
    if system and system.hosts:
        cpu = f"{system.hosts.count:g} x {system.hosts.cpu or 'CPU'}"
        yield "hosts", cpu, ""
        yield "host memory", system.hosts.memory_gb, "GB"
    for name, size in device.memory.readings().items():
        yield f"memory per device, {name}", size / 1e9, "GB"
        if n > 1:
            yield f"memory of {n}, {name}", n * size / 1e9, "GB"
    yield "memory bandwidth per device", device.memory.bandwidth_gb_s, "GB/s"
    if n > 1:
        yield f"memory bandwidth of {n}", n * device.memory.bandwidth_gb_s, "GB/s"
    if device.best.bandwidth_gb_s:
        yield "highest published bandwidth (bound)", device.best.bandwidth_gb_s, "GB/s"
    if device.best.clock != 1:
        yield "highest clock over the sheet's (bound)", device.best.clock, "ratio"
    if device.cache_mb:
        yield "last-level cache", device.cache_mb, "MB"
    for name in (name for name in FORMATS if name in device.peak_tflop_s):
        yield f"peak {name}, dense", device.peak_tflop_s[name], "TFLOP/s"
    for name in (name for name in FORMATS if name in device.peak_tflop_s):
        yield f"ridge point {name}", device.peak_tflop_s[name] * 1e3 / device.memory.bandwidth_gb_s, "FLOP/byte"
    yield from _link_figures(found.link)
    scale_out = found.scale_out_bytes_per_s
    yield "scale-out per direction", scale_out / 1e9 if scale_out else "none given", "GB/s" if scale_out else ""
    if device.power_w:
        yield "power per device", device.power_w, "W"
    if system and system.power_kw:
        yield "power of the system", system.power_kw, "kW"
    yield from _words(system)
    yield from _words(device)


def _link_figures(link: Link | None) -> Iterator[Figure]:
    if link is None:
        yield "scale-up link", "none", ""
        return
    yield "scale-up link", f"{link.kind or 'link'}, {link.shape}", ""
    yield "link per direction", link.gb_s, "GB/s"
    if link.pair_gb_s:
        yield "link of one pair", link.pair_gb_s, "GB/s"
    if link.axes:
        yield "torus", " x ".join(map(str, link.axes)), "devices"
    yield "domain", link.domain, "devices"
    yield "sums in the network", "yes" if link.reduce else "no", ""


def _model_figures(model: Model) -> Iterator[Figure]:
    counted = count(model)
    yield "title", model.title or model.name, ""
    yield "publisher", model.publisher, ""
    yield "context", model.context, "tokens"
    yield "layers", model.depth, ""
    yield "pattern", model.layers, ""
    yield "hidden size", model.hidden, ""
    yield "vocabulary", model.vocab, "tokens"
    for name, layers in model.groups.items():
        for part in model.blocks[name].parts:
            yield f"{name} ({layers}): {part.type}", _described(part), ""
    total, active = as_published(model)
    yield "parameters, counted", counted.total, ""
    if model.published and model.published.params:
        if model.published.includes:
            yield f"counted with {', '.join(model.published.includes)}".replace("_", " "), total, ""
        yield "parameters, published", model.published.params, ""
        yield "difference", total - model.published.params, ""
    yield "parameters active per token", counted.active, ""
    if model.published and model.published.active:
        if model.published.active_embedding:
            yield "active, the input embedding too", active, ""
        yield "active, published", model.published.active, ""
    if counted.mtp:
        yield "multi-token prediction, apart", counted.mtp, ""
    if counted.excluded:
        yield "towers not modelled, apart", counted.excluded, ""
    elements = kv_elements_per_token(model)
    yield "KV cache, 16-bit", 2 * elements, "bytes/token"
    yield "KV cache, fp8", elements, "bytes/token"
    yield "dtype", _dtype(model), ""
    if model.published and model.published.source:
        yield "published at", model.published.source, ""
    if model.known_difference:
        for what, params in model.known_difference.params.items():
            yield f"known difference: {what}", params, ""
        yield "known difference, cause", model.known_difference.cause, ""
    yield from _words(model)


def _described(part: Any) -> str:
    """A part's fields that say something, in its file's own words."""
    shown = [(field.name, getattr(part, field.name), field.default) for field in part.fields_]
    return ", ".join(f"{name} {str(value).lower() if isinstance(value, bool) else value}" for name, value, default in shown if value != default)


def _words(record: Any) -> Iterator[Figure]:
    if record is None:
        return
    if record.notes:
        yield "note", record.notes, ""
    if record.announced:
        yield "announced", "the maker's plans, not yet measured", ""
    if record.unverified:
        yield "not seen at a source", ", ".join(record.unverified), ""
    for source in record.sources:
        yield "source", source, ""


def _hardware_row(found: Hardware) -> dict[str, Any]:
    device, system, n = found.device, found.system, found.count
    peaks = device.peak_tflop_s
    half = peaks.get("bf16", peaks.get("fp16"))
    return {
        "name": found.name,
        "kind": "system" if system else "device",
        "vendor": (system.vendor if system else None) or device.vendor,
        "year": str((system.year if system else None) or device.year or ""),
        "devices": n,
        "memory_gb": n * device.memory.capacity_gb,
        "bandwidth_gb_s": n * device.memory.bandwidth_gb_s,
        "bf16_tflop_s": n * half if half else None,
        "fp8_tflop_s": n * peaks["fp8"] if "fp8" in peaks else None,
        "link_gb_s": found.link.gb_s if found.link else None,
        "domain": found.link.domain if found.link else None,
    }


def _model_row(model: Model) -> dict[str, Any]:
    counted = count(model)
    return {
        "name": model.name,
        "publisher": model.publisher,
        "kind": _kind(model),
        "layers": model.depth,
        "params": counted.total,
        "active": counted.active,
        "context": model.context,
        "kv_bytes_per_token": 2 * kv_elements_per_token(model),
        "dtype": _dtype(model),
    }


def _kind(model: Model) -> str:
    blocks = [model.blocks[name] for name in model.groups]
    states, attentions = any(b.state for b in blocks), any(b.attention for b in blocks)
    if states:
        return "hybrid" if attentions else "recurrent"
    return "moe" if any(isinstance(b.mlp, Experts) for b in blocks) else "dense"


def _dtype(model: Model) -> str:
    named = model.dtypes
    others = {value for value in (named.attention, named.mlp, named.experts, named.shared, named.embed, named.head) if value}
    return named.default if others <= {named.default} else "+".join(dict.fromkeys([named.default, *sorted(others)]))


def _readable(table: Table, kind: catalog.Kind, load: Any) -> Iterator[Any]:
    """Every entry that can be read; a note for each that cannot, with its first problem."""
    table.notes += [f"ROOFCALC_PATH: {place} is no directory that can be read" for place in catalog.unreadable_directories()]
    for path in catalog.entries(kind).values():
        try:
            yield load(str(path))[0]
        except RoofcalcError as error:
            table.notes.append(f"left out: {error.lines[0]}")


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts 7b before 13b."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _split(text: str, what: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise RoofcalcError(f"{what}: an empty name in {text!r}")
    return names


def _add(table: Table, kind: str, name: str, figures: list[Figure]) -> None:
    columns = {key: np.array([figure[i] for figure in figures], dtype=object) for i, key in enumerate(("figure", "value", "unit"))}
    table.blocks.append(Rows(len(figures), {kind: name, **columns}))


def _filled(table: Table, rows: list[dict[str, Any]]) -> Table:
    values = {column.name: np.array([row[column.name] for row in rows], dtype=object) for column in table.columns}
    if rows:
        table.blocks.append(Rows(len(rows), values))
    return table
