"""Money and energy of tokens and queries, from the seconds that the whole machine works on them.

Knows seconds, devices and prices alone. A query has its share of the machine: all of it while its prompt is taken in, a
B-th of it while B queries decode together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

MILLION = 1e6


def output_seconds(step_s: Any, output: Any, batch: Any, accepted: float = 1.0) -> NDArray[Any]:
    """Seconds of the whole machine that one query's output takes: its share of the steps of B queries together.

    Formulas
    --------
    output_s = output/A·T_step/B
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.asarray(output, dtype=float) / accepted * np.asarray(step_s, dtype=float) / np.asarray(batch, dtype=float))


def usd(machine_seconds: Any, devices: int, usd_per_device_hour: float) -> NDArray[Any]:
    """Dollars that seconds of the whole machine cost.

    Formulas
    --------
    usd = seconds·devices·u/3600
    """
    return np.asarray(np.asarray(machine_seconds, dtype=float) * devices * usd_per_device_hour / SECONDS_PER_HOUR)


def per_million(amount: Any, tokens: Any) -> NDArray[Any]:
    """What a million tokens cost if `tokens` cost `amount`; nan where there are none.

    Formulas
    --------
    usd_per_mtok = 1000000·usd/tokens
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(MILLION * np.asarray(amount, dtype=float) / np.asarray(tokens, dtype=float))


def joule_per_token(machine_seconds: Any, power_w: float, tokens: Any) -> NDArray[Any]:
    """Energy per token at the machine's nominal power, which it does not always draw.

    Formulas
    --------
    joule = seconds·power/tokens
    """
    return np.asarray(np.asarray(machine_seconds, dtype=float) * power_w / np.asarray(tokens, dtype=float))


def api_usd(prompt: Any, output: Any, price_in: Any, price_out: Any) -> NDArray[Any]:
    """What an API asks for a query, at prices per million tokens.

    Formulas
    --------
    api_usd = (prompt·price_in + output·price_out)/1000000
    """
    paid = np.asarray(prompt, dtype=float) * np.asarray(price_in) + np.asarray(output, dtype=float) * np.asarray(price_out)
    return np.asarray(paid / MILLION)


def margin(api: Any, own: Any) -> NDArray[Any]:
    """The part of an API's price that its hardware's hours leave over; negative where they cost more.

    Formulas
    --------
    margin = 1 − usd/api_usd
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - np.asarray(own, dtype=float) / np.asarray(api, dtype=float))
