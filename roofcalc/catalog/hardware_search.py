"""What hardware a name without an exact match stands for: readings of its count, cloud instances, then the entries that it resembles.

Where a short name leaves a doubt the first of `hardware_names.choose` is taken, and a note lists the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from roofcalc.catalog import boxes, instances, lookup
from roofcalc.catalog.hardware_names import Candidate, Counted, Product, choose, matches, product, readings, singular, without_slice
from roofcalc.catalog.machines import MAX_DIGITS, Named
from roofcalc.errors import RoofcalcError

SHOWN = 8  # other entries that a note lists
_BOX_DEVICES = {"dgx": 8, "hgx": 8, "node": 8, "baseboard": 8, "platform": 8}
_STATIONS = {"a100-sxm-80gb": 4, "a100-sxm-40gb": 4}  # DGX Station


def readings_of(text: str) -> Iterator[Named]:
    """Everything that a name without an exact match may stand for, the likeliest first.

    Raises
    ------
    RoofcalcError
        Entries are near, but none has the memory that the name gives.
    """
    every = [one for one in readings(text) if len(str(one.devices or "")) <= MAX_DIGITS]
    for one in every:
        if (entry_file := lookup.exact("hardware", one.name)) is not None:
            yield Named(entry_file, one.nodes, one.devices)
    for one in every:
        if (entry_file := instances.find(one.name)) is not None:
            yield Named(entry_file, one.nodes, one.devices)
    wrong_size: RoofcalcError | None = None
    for one in sorted(every, key=lambda one: one.devices is None or product(one.name).box is None):  # `HGX H100 8-GPU`: the count first
        try:
            if (named := _near(text, one)) is not None:
                yield named
        except RoofcalcError as error:
            wrong_size = wrong_size or error
    if wrong_size is not None:
        raise wrong_size


def _near(text: str, one: Counted) -> Named | None:
    """What one reading of a name resembles."""
    asked = product(one.name)
    if asked.mig is not None:
        return _slice(one, asked.mig)
    known = _known()
    chosen: list[Candidate] = []
    for form in _forms(asked):
        candidates = [_candidate(name, known[name], asked) for name in matches(form, known)]
        if not candidates and asked.vendor == "Apple" and not asked.numbers and asked.size_gb is not None:
            candidates = _of_size(asked)
        chosen = choose(form, candidates)
        if chosen:
            break
        if candidates and form.box is None:
            raise _wrong_size(text, asked, candidates)
    if not chosen:
        return None
    best = chosen[0]
    if asked.box is not None and f"{best.name}-nvl72" in known:
        best = _candidate(f"{best.name}-nvl72", (), asked)
    nodes, devices = _box(asked, best, one)
    size = asked.size_gb if best.is_unified and asked.size_gb and asked.size_gb < 0.99 * best.sizes_gb[0] else None
    others = [other.name for other in chosen[1:]]
    more = f"; others: {', '.join(others[:SHOWN])}" if others else ""
    note = f"{text.strip()!r} is taken for {best.name}{more}"
    entry_file = lookup.find("hardware", best.name)
    return Named(entry_file, nodes, devices, None, size, (note,))


def _slice(one: Counted, profile: str) -> Named | None:
    """A MIG slice: of the first device meant that has the profile."""
    text = without_slice(one.name)
    inner = next(readings_of(text), None)
    if inner is None:
        return None
    offering = {row["device"] for row in boxes.table("mig.csv") if row["profile"] == profile}
    if inner.file.name not in offering:
        known, asked = _known(), product(text)
        others = choose(asked, [_candidate(name, known[name], asked) for name in matches(asked, known)])
        if name := next((other.name for other in others if other.name in offering), None):
            inner = Named(lookup.find("hardware", name), inner.nodes, inner.devices, notes=(f"{text!r} with {profile} is taken for {name}",))
    return inner._replace(mig=profile, devices=one.devices if inner.devices is None else inner.devices, nodes=one.nodes)


def _forms(asked: Product) -> Iterator[Product]:
    """A name's product as written, then with what people leave out or add: the x of mi300x, a plural, a word for a box."""
    for form in (asked, asked._replace(box=None)):
        yield form
        for change in (lambda one: f"{one}x", singular):
            changed = frozenset(map(change, form.numbers))
            if changed != form.numbers:
                yield form._replace(numbers=changed)
        if form.box is None and asked.box is None:
            break


def _box(asked: Product, best: Candidate, one: Counted) -> tuple[int, int | None]:
    """Nodes and devices: a word for a box (HGX) makes eight devices of one, and of a count before it nodes."""
    if asked.box is None or best.is_system or best.has_box or asked.box in ("pod", "rack"):
        return one.nodes, one.devices
    per_box = _STATIONS.get(best.name, 1) if asked.box == "station" else _BOX_DEVICES.get(asked.box, 1)
    if one.devices is None or one.devices == per_box:
        return one.nodes, per_box
    return (one.nodes, one.devices) if one.nodes > 1 or one.devices == 4 else (one.devices, per_box)


def _known() -> dict[str, list[str]]:
    """Every entry and its aliases."""
    known: dict[str, list[str]] = {name: [] for name in lookup.names("hardware")}
    for alias, name in lookup.aliased("hardware").items():
        known[name].append(alias)
    return known


def _candidate(name: str, aliases: Sequence[str], asked: Product) -> Candidate:
    """An entry with the sizes that its figures and its names give."""
    entry = lookup.entry("hardware", lookup.find("hardware", name))
    device = lookup.entry("hardware", lookup.find("hardware", entry.values["device"])) if "device" in entry.values else entry
    memory = device.values.get("memory") or {}
    capacity = float(memory.get("capacity_gb") or 0)
    named = [size for one in (name, *aliases) if (size := product(one).size_gb)]
    is_system = "device" in entry.values
    whole = [capacity * float(entry.values.get("count") or 1)] if is_system else []
    unified = str(memory.get("kind") or "").upper().startswith("LPDDR") and device.values.get("vendor") in ("Apple", "AMD")
    bare = asked._replace(size_gb=None, box=None, memory=None)
    exact = any(product(one)._replace(vendor=asked.vendor, memory=None) in (asked._replace(memory=None), bare) for one in (name, *aliases))
    boxed = asked.box is not None and any(product(one).box == asked.box for one in (name, *aliases))
    return Candidate(name, (capacity, *whole, *named), is_system, unified, exact, boxed, str(memory.get("kind") or "").lower())


def _of_size(asked: Product) -> list[Candidate]:
    """A maker's devices with exactly this memory, the newest first: `Mac Studio 192GB`."""
    found = []
    for name, path in lookup.entries("hardware").items():
        if asked.vendor and asked.vendor.lower() in path.parts:
            values = lookup.entry("hardware", lookup.find("hardware", name)).values
            if "memory" in values and values["memory"].get("capacity_gb") == asked.size_gb:
                found.append((-int(values.get("year") or 0), name))
    return [_candidate(name, (), asked) for _, name in sorted(found)]


def _wrong_size(text: str, asked: Product, candidates: list[Candidate]) -> RoofcalcError:
    """That no entry near has so much memory."""
    there = ", ".join(f"{one.name} ({max(one.sizes_gb):g} GB)" for one in candidates[:SHOWN])
    sets = f"--set hardware.memory.capacity_gb={asked.size_gb:g} sets a size"
    return RoofcalcError(f"hardware {text.strip()!r}: none of {asked.size_gb:g} GB in the catalog; it has {there} ({sets})")
