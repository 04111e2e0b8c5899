"""Profiles that `roofcalc fit --save-profile` writes and `--profile` reads: fitted efficiencies in place of a preset's."""

from collections.abc import Container
from pathlib import Path
from typing import Any, NamedTuple

from roofcalc.catalog import yamlfile
from roofcalc.deployment.assumptions import assumptions
from roofcalc.errors import RoofcalcError, did_you_mean

# Assumptions that a profile sets, and the parameter of `roofcalc.measurements.fit` that each one comes from.
EFFICIENCIES = {
    "mbu": "mbu",
    "mfu": "mfu",
    "link": "link",
    "collective_latency_us": "latency_us",
    "layer_overhead_us": "layer_us",
    "step_overhead_us": "step_us",
}
SETTINGS = ("overlap", "network", "imbalance", "routing", "activations")  # under which they were fitted, where that is not the default
FACTS = ("model", "hardware", "device", "weights", "kv", "source", "points", "median_error", "worst_error", "parameters")
KEYS = ("efficiencies", "settings", "fitted")


class FittedProfile(NamedTuple):
    """A saved profile.

    Attributes
    ----------
    file : str
    values : dict
        Assumptions by name: those of `EFFICIENCIES` and `SETTINGS` that it sets.
    fitted : dict
        What it was fitted to: `FACTS`.
    """

    file: str
    values: dict[str, Any]
    fitted: dict[str, Any]

    def note(self, overridden: Container[str] = ()) -> str:
        """A sentence that says what the profile sets, but for options that were given, and what it was fitted to."""
        kept = {name: value for name, value in self.values.items() if name not in overridden}
        sets = ", ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in kept.items()) or "nothing"
        of = ", ".join(str(self.fitted[name]) for name in ("model", "hardware") if self.fitted.get(name))
        error = self.fitted.get("median_error")
        measured = f"{self.fitted['points']} points" if self.fitted.get("points") else "points"
        quality = f", median error {error:.1%}" if isinstance(error, (int, float)) else ""
        return f"--profile {self.file}: {sets}; fitted to {measured}{f' of {of}' if of else ''}{quality}"

    def warning(self, device: str) -> str:
        """A sentence on figures of another device; empty for the one of the profile, or where the profile names none."""
        fitted = self.fitted.get("device")
        return f"--profile {self.file}: fitted on {fitted}, not on {device}" if fitted and fitted != device else ""


def write(path: Path, efficiencies: dict[str, float], settings: dict[str, Any], facts: dict[str, Any]) -> None:
    """Writes a profile: parameters of a fit by their names there, settings that differ from the defaults, and facts on the fit.

    Raises
    ------
    RoofcalcError
        The file cannot be written.
    """
    import yaml

    tree = {
        "efficiencies": {name: float(efficiencies[fitted]) for name, fitted in EFFICIENCIES.items() if fitted in efficiencies},
        **({"settings": settings} if settings else {}),
        "fitted": {name: facts[name] for name in FACTS if facts.get(name) is not None},
    }
    try:
        path.write_text("# roofcalc fit --save-profile; use: --profile " + path.name + "\n" + yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise RoofcalcError(f"--save-profile: {path}: cannot be written: {error.strerror or error}") from None


def read(path: str | Path) -> FittedProfile:
    """The profile of a file.

    Raises
    ------
    RoofcalcError
        The file cannot be read, has other keys than a profile, or values that are no assumptions.
    """
    tree, _ = yamlfile.load(Path(path))
    if unknown := [key for key in tree if key not in KEYS]:
        raise RoofcalcError(f"--profile: {path}: unknown key {unknown[0]!r}{did_you_mean(str(unknown[0]), KEYS)}; a profile has {', '.join(KEYS)}")
    parts = {key: tree.get(key) or {} for key in KEYS}
    if wrong := [key for key, part in parts.items() if not isinstance(part, dict)]:
        raise RoofcalcError(f"--profile: {path}: {wrong[0]}: expected keys and values")
    for key, known in (("efficiencies", tuple(EFFICIENCIES)), ("settings", SETTINGS)):
        if unknown := [name for name in parts[key] if name not in known]:
            raise RoofcalcError(f"--profile: {path}: {key}: unknown {unknown[0]!r}{did_you_mean(str(unknown[0]), known)}; known: {', '.join(known)}")
    if not parts["efficiencies"]:
        raise RoofcalcError(f"--profile: {path}: sets no efficiencies ({', '.join(EFFICIENCIES)})")
    values = {**parts["efficiencies"], **parts["settings"]}
    try:
        assumptions("roofline", **values)
    except RoofcalcError as error:
        raise RoofcalcError(*(f"--profile: {path}: {line.removeprefix('--')}" for line in error.lines)) from None
    return FittedProfile(str(path), values, parts["fitted"])
