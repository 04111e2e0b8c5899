"""Fits the constants of every group of rows: over all devices, then for each architecture, then for devices that differ clearly.

Each level is drawn towards the one above, so that few rows cannot lead far astray.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares  # type: ignore[import-untyped, unused-ignore]

from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.profile import Fits
from tools.calibrate.devices import facts_of_rows
from tools.calibrate.subjects import Prepared, Subject
from tools.calibrate.tables import Columns, only

SOFT = 0.1  # |ln| beyond which a residual counts linearly (soft_l1): a tenth is a good kernel model's error
OWN_SPREAD = 0.5  # how far a device may stray from the common constants, relative to how far those may stray from their start
WORTH = 2.0  # loss that a device's own constants must save, per constant: Akaike's price of a parameter, in units of SOFT
COMMON_ROWS = 500  # rows, evenly taken, that the constants common to all devices are fitted on: only a starting point
FEWEST = 8  # rows below which a device gets no constants of its own
EVALUATIONS = 60
Group = tuple[str, str, str]  # engine, dtype, kernel


@dataclass(frozen=True)
class Fitted:
    """The constants of one device, or of an architecture, in one group, and the rows that they were fitted on."""

    group: Group
    device: str
    values: tuple[float, ...]
    count: int


def fit(
    subject: Subject,
    facts: DeviceFacts,
    prepared: Prepared,
    us: npt.NDArray[Any],
    centre: npt.NDArray[Any],
    spread: npt.NDArray[Any],
) -> npt.NDArray[Any]:
    """Constants that minimise Σ soft_l1(ln(predicted ÷ measured) ÷ 0.1) + Σ ((ln p − ln centre) ÷ spread)², within the subject's bounds."""
    low, high = np.log(subject.low), np.log(subject.high)
    middle, measured = np.log(centre), np.log(us)

    def residuals(logs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        seconds = subject.seconds(subject.record(*np.exp(logs)), facts, prepared)
        return np.concatenate([np.log(seconds * 1e6) - measured, (logs - middle) / spread * SOFT])

    start = np.clip(middle, low + 1e-6, high - 1e-6)
    found = least_squares(residuals, start, bounds=(low, high), loss="soft_l1", f_scale=SOFT, max_nfev=EVALUATIONS, diff_step=1e-3)
    return np.asarray(np.exp(found.x))


def rounded(values: npt.NDArray[Any]) -> tuple[float, ...]:
    """Three significant digits: no fit knows more, and a second machine writes the same."""
    return tuple(float(f"{value:.3g}") for value in values)


def groups(rows: Columns) -> list[Group]:
    """The groups of `rows`, sorted."""
    return sorted(set(zip(rows["engine"].tolist(), rows["dtype"].tolist(), rows["kernel"].tolist(), strict=True)))


def in_group(rows: Columns, group: Group) -> npt.NDArray[np.bool_]:
    """True for the rows of `group`."""
    return np.asarray((rows["engine"] == group[0]) & (rows["dtype"] == group[1]) & (rows["kernel"] == group[2]))


def _errors(subject: Subject, facts: DeviceFacts, prepared: Prepared, us: npt.NDArray[Any], values: tuple[float, ...]) -> float:
    """Mean soft error of constants on rows: Σ soft_l1 ÷ count, the quantity that `fit` minimises."""
    logs = np.log(subject.seconds(subject.record(*values), facts, prepared) * 1e6 / us) / SOFT
    return float(np.mean(2 * (np.sqrt(1 + logs**2) - 1)))


def fitted(subject: Subject, rows: Columns, table: Fits, only_family: str | None = None) -> Iterator[Fitted]:
    """Constants of all groups: for each architecture, and for those of its devices whose own are clearly better (`WORTH`).

    `only_family` yields those of one architecture; the common constants are those of all rows either way.
    """
    start, spread = np.array(subject.start, dtype=float), np.array(subject.spread, dtype=float)
    for group in groups(rows):
        part = only(rows, in_group(rows, group))
        some = only(part, np.arange(len(part["us"])) % -(-len(part["us"]) // COMMON_ROWS) == 0)
        facts = facts_of_rows(some["device"], subject.peak_dtype(some), table)
        common = fit(subject, facts, subject.prepare(some), some["us"], start, spread)
        families = np.array([table.devices[device].architecture for device in part["device"].tolist()])
        for family in sorted(set(families.tolist()) if only_family is None else set(families.tolist()) & {only_family}):
            own = only(part, families == family)
            yield from _of_family(subject, group, family, own, common, spread, table)


def _of_family(
    subject: Subject, group: Group, family: str, rows: Columns, common: npt.NDArray[Any], spread: npt.NDArray[Any], table: Fits
) -> Iterator[Fitted]:
    devices = sorted(set(rows["device"].tolist()))
    facts = facts_of_rows(rows["device"], subject.peak_dtype(rows), table)
    shared = common
    if len(rows["us"]) >= FEWEST:
        shared = fit(subject, facts, subject.prepare(rows), rows["us"], common, spread * OWN_SPREAD)
    yield Fitted(group, family, rounded(shared), len(rows["us"]))
    if len(devices) == 1:
        return
    for device in devices:
        own = only(rows, rows["device"] == device)
        if len(own["us"]) < FEWEST:
            continue
        prepared, facts = subject.prepare(own), facts_of_rows(own["device"], subject.peak_dtype(own), table)
        values = rounded(fit(subject, facts, prepared, own["us"], shared, spread * OWN_SPREAD))
        before, after = (_errors(subject, facts, prepared, own["us"], tried) for tried in (rounded(shared), values))
        if (before - after) * len(own["us"]) > WORTH * len(values):
            yield Fitted(group, device, values, len(own["us"]))
