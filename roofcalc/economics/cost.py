"""Money and energy of tokens and queries, from the seconds that the whole machine works on them.

Knows seconds, devices and prices alone. A query has its share of the machine: all of it while its prompt is taken in, a
B-th of it while B queries decode together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.specs.formula import formula

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS_PER_HOUR = 3600.0
MILLION = 1e6


@formula("output_s = osl/A·T_step/B")
def output_seconds(step_s: Any, output: Any, batch: Any, accepted: float = 1.0) -> NDArray[Any]:
    """Seconds of the whole machine that one query's output takes: its share of the steps of B queries together."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.asarray(output, dtype=float) / accepted * np.asarray(step_s, dtype=float) / np.asarray(batch, dtype=float))


@formula("usd = machine_s·devices·usd_per_hour/3600")
def usd(machine_seconds: Any, devices: int, usd_per_device_hour: float) -> NDArray[Any]:
    """Dollars that seconds of the whole machine cost."""
    return np.asarray(np.asarray(machine_seconds, dtype=float) * devices * usd_per_device_hour / SECONDS_PER_HOUR)


@formula("usd_per_mtok = 1000000·usd/tokens")
def per_million(amount: Any, tokens: Any) -> NDArray[Any]:
    """What a million tokens cost if `tokens` cost `amount`; nan where there are none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(MILLION * np.asarray(amount, dtype=float) / np.asarray(tokens, dtype=float))


@formula("joule = machine_s·power/tokens")
def joule_per_token(machine_seconds: Any, power_w: float, tokens: Any) -> NDArray[Any]:
    """Energy per token at the machine's nominal power, which it does not always draw."""
    return np.asarray(np.asarray(machine_seconds, dtype=float) * power_w / np.asarray(tokens, dtype=float))


@formula("api_usd = (isl·price_in + osl·price_out)/1000000")
def api_usd(prompt: Any, output: Any, price_in: Any, price_out: Any) -> NDArray[Any]:
    """What an API asks for a query, at prices per million tokens."""
    paid = np.asarray(prompt, dtype=float) * np.asarray(price_in) + np.asarray(output, dtype=float) * np.asarray(price_out)
    return np.asarray(paid / MILLION)


@formula("margin = 1 − usd/api_usd")
def margin(api: Any, own: Any) -> NDArray[Any]:
    """The part of an API's price that its hardware's hours leave over; negative where they cost more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - np.asarray(own, dtype=float) / np.asarray(api, dtype=float))
