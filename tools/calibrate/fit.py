"""Fits the constants of every group of rows: first over all devices together, then device by device, drawn towards the common values."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from roofcalc.physics.kernels.facts import DeviceFacts
from roofcalc.physics.kernels.profile import Fits
from tools.calibrate.devices import facts_of_rows
from tools.calibrate.subjects import Prepared, Subject
from tools.calibrate.tables import Columns, only

SOFT = 0.1  # |ln| beyond which a residual counts linearly (soft_l1): a tenth is a good kernel model's error
OWN_SPREAD = 0.5  # how far a device may stray from the common constants, relative to how far those may stray from their start
FEWEST = 8  # rows below which a device gets no constants of its own
EVALUATIONS = 60
Group = tuple[str, str, str]  # engine, dtype, kernel


@dataclass(frozen=True)
class Fitted:
    """The constants of one device in one group, and the rows that they were fitted on."""

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
    return (rows["engine"] == group[0]) & (rows["dtype"] == group[1]) & (rows["kernel"] == group[2])


def fitted(subject: Subject, rows: Columns, table: Fits) -> Iterator[Fitted]:
    """Constants of all groups and devices of `rows`."""
    start, spread = np.array(subject.start, dtype=float), np.array(subject.spread, dtype=float)
    for group in groups(rows):
        part = only(rows, in_group(rows, group))
        facts = facts_of_rows(part["device"], subject.peak_dtype(part), table)
        common = fit(subject, facts, subject.prepare(part), part["us"], start, spread)
        for device in sorted(set(part["device"].tolist())):
            own = only(part, part["device"] == device)
            if len(own["us"]) < FEWEST:
                yield Fitted(group, device, rounded(common), len(own["us"]))
                continue
            facts = facts_of_rows(own["device"], subject.peak_dtype(own), table)
            values = fit(subject, facts, subject.prepare(own), own["us"], common, spread * OWN_SPREAD)
            yield Fitted(group, device, rounded(values), len(own["us"]))
