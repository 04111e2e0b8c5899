"""Cost and energy of tokens and queries, from the machine time that they take.

Machine time [s] counts the whole machine: a query takes all of it during its prefill, and 1/B of it while B queries decode
in one batch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc.specs.formula import formula
from roofcalc.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

MILLION = 1e6


@formula("output_s = osl/A·T_step/B")
def output_seconds(step_s: Any, output: Any, batch: Any, accepted: float = 1.0) -> NDArray[Any]:
    """Machine time of one query's output tokens, with B queries per decode step. [s]"""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.asarray(output, dtype=float) / accepted * np.asarray(step_s, dtype=float) / np.asarray(batch, dtype=float))


@formula("usd = machine_s·devices·usd_per_hour/3600")
def usd(machine_seconds: Any, devices: int, usd_per_device_hour: float) -> NDArray[Any]:
    """Cost of machine time at a price per device-hour. [USD]"""
    return np.asarray(np.asarray(machine_seconds, dtype=float) * devices * usd_per_device_hour / SECONDS_PER_HOUR)


@formula("usd_per_mtok = 1000000·usd/tokens")
def per_million(amount: Any, tokens: Any) -> NDArray[Any]:
    """Cost per million tokens when `tokens` cost `amount` USD; nan for 0 tokens. [USD]"""
    amount, tokens = np.asarray(amount, dtype=float), np.asarray(tokens, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(tokens > 0, MILLION * amount / tokens, np.nan))


@formula("joule = machine_s·power/tokens")
def joule_per_token(machine_seconds: Any, power_w: Any, tokens: Any) -> NDArray[Any]:
    """Energy per token at the machine's nominal power, an upper bound of the power drawn. [J]"""
    return np.asarray(np.asarray(machine_seconds, dtype=float) * np.asarray(power_w, dtype=float) / np.asarray(tokens, dtype=float))


@formula("api_usd = ((isl − found)·price_in + found·price_cached_in + osl·price_out)/1000000")
def api_usd(prompt: Any, output: Any, price_in: Any, price_out: Any, found: Any = 0.0, price_cached_in: Any = 0.0) -> NDArray[Any]:
    """Price of a query at a hosted API with prices per million input and output tokens, `found` of the former in its cache. [USD]"""
    prompt, output, found = (np.asarray(one, dtype=float) for one in (prompt, output, found))
    paid = (prompt - found) * np.asarray(price_in) + found * np.asarray(price_cached_in) + output * np.asarray(price_out)
    return np.asarray(paid / MILLION)


@formula("margin = 1 − usd/api_usd")
def margin(api: Any, own: Any) -> NDArray[Any]:
    """Fraction of the API price that remains after the hardware cost; negative where the hardware costs more."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - np.asarray(own, dtype=float) / np.asarray(api, dtype=float))
