"""What tokens and queries cost, in money and energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from roofcalc import units
from roofcalc.catalog.api_prices import api_price
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, positive
from roofcalc.commands.max_batch import DEFAULT_INTERACTIVITY
from roofcalc.commands.options import Options
from roofcalc.commands.price import power_w, usd_per_device_hour
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import serving
from roofcalc.commands.workload import workload
from roofcalc.economics import cost as money
from roofcalc.errors import RoofcalcError
from roofcalc.physics.generation import prompt_s
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

Query = str | tuple[float, float]


def cost(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    query: Query | Sequence[Query] | None = None,
    interactivity: Numbers | None = None,
    usd_per_hour: Numbers | None = None,
    api: Names | None = None,
    price_in: Numbers | None = None,
    price_out: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Money and energy per token and query, at the largest batch that fits and is fast enough for the query.

    Parameters
    ----------
    model, hardware, kv_at, chunk, options
        As `max_batch` takes them.
    query : "PROMPT:OUTPUT", (prompt, output), or a list of them
        Tokens in and out; costs are relative to the first.
    interactivity : tok/s/user
        The least that each user must get (default 30).
    usd_per_hour
        Dollars per device-hour (default: the newest on-demand price of the table).
    api : str or list of str
        An API whose price stands beside (`roofcalc.catalog.api_prices`), one for all queries or one each.
    price_in, price_out
        Or its dollars per million tokens, in and out, alike.

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, change, query and interactivity.

    Raises
    ------
    RoofcalcError
        Anything wrong in the request, in one sentence each.

    Notes
    -----
    A query pays for the machine while its prompt is taken in, and for its share of the steps (`roofcalc.economics.cost`).
    """
    prompts, outputs = _queries(query)
    asked = _api_prices(api, price_in, price_out, prompts.size)
    given = tuple(name for name, value in (("kv_at", kv_at), ("chunk", chunk)) if value is not None)
    request = Request("cost", columns.COST + (columns.COST_API if asked else ()), model, hardware, options, given)
    for name in dict.fromkeys(_api_names(api)):
        price = api_price(name)
        request.note(f"{name}: {price.price_in:g} USD per million tokens in, {price.price_out:g} out ({price.date}, {price.source})")
    if interactivity is None:
        request.note(f"interactivity: at least {units.plain(DEFAULT_INTERACTIVITY)} tok/s for each user (--interactivity)")
    rates = positive(DEFAULT_INTERACTIVITY if interactivity is None else interactivity, "interactivity", 0, 1e9)
    for usual, changes in request.deployments():
        deployment = serving(request, usual, workload([prompts, outputs], kv_at, chunk).seq)
        number, rate = request.grid(np.arange(prompts.size), rates)
        prompt, output = prompts[number], outputs[number]
        if (prompt + output > deployment.model.context).any():
            request.note(f"{deployment.model.name}: queries beyond the model's {deployment.model.context} tokens are computed all the same")
        hour, watts = usd_per_device_hour(request, deployment.hardware, usd_per_hour), power_w(request, deployment.hardware)
        work = workload([prompt, output], kv_at, chunk)
        taken, shared = np.full(rate.shape, np.nan), np.full(rate.shape, np.nan)
        if deployment.has_time:
            found = solver.max_batch(deployment, work.seq, rate, work.step(deployment))
            taken = prompt_s(deployment, prompt, work.chunk)
            shared = money.output_seconds(found.step_s, output, found.max_batch, deployment.accepted)
        else:
            found = solver.max_batch(deployment, work.seq, rate)
        if not found.batch_memory.all():
            request.note(fit_advice.what_would_fit(deployment, float(work.seq[np.argmin(found.batch_memory)])))
        devices = deployment.hardware.count
        own = money.usd(taken + shared, devices, hour)
        values: dict[str, Any] = {}
        if asked:
            values["api_usd_per_query"] = money.api_usd(prompt, output, asked[0][number], asked[1][number])
            values["margin"] = money.margin(values["api_usd_per_query"], own)
        request.add(
            deployment,
            changes,
            seq=work.seq,
            prompt=prompt,
            output=output,
            min_interactivity_tok_s=rate,
            batch=found.max_batch,
            usd_per_mtok_in=money.per_million(money.usd(taken, devices, hour), prompt),
            usd_per_mtok_out=money.per_million(money.usd(shared, devices, hour), output),
            usd_per_query=own,
            relative_cost=(taken + shared) / np.tile((taken + shared)[: rates.size], prompts.size),
            joule_per_token=money.joule_per_token(shared, watts, output),
            kv_at=work.kv_at,
            chunk=work.chunk,
            **values,
        )
    return request.table


def _queries(given: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Tokens in and out of each query.

    Raises
    ------
    RoofcalcError
        None at all, or one that is not PROMPT:OUTPUT in whole numbers.
    """
    if given is None:
        raise RoofcalcError("query: give at least one as PROMPT:OUTPUT tokens, for instance --query 1000:500")
    several = [given] if isinstance(given, (str, tuple)) else list(given)
    found = [pair for one in several for pair in _pairs(one)]
    if not found:
        raise RoofcalcError("query: give at least one as PROMPT:OUTPUT tokens, for instance --query 1000:500")
    prompts, outputs = (np.array(side, dtype=float) for side in zip(*found, strict=True))
    return prompts, outputs


def _pairs(given: Any) -> list[tuple[float, float]]:
    if isinstance(given, str):
        parts = [one.split(":") for one in given.split(",")]
        if any(len(one) != 2 for one in parts):
            raise RoofcalcError(f"query: {given!r} is not PROMPT:OUTPUT tokens, such as 1000:500 or 4k:1k")
        return [_pair(units.number(prompt, "query"), units.number(output, "query")) for prompt, output in parts]
    try:
        prompt, output = (float(one) for one in given)
    except (TypeError, ValueError):
        raise RoofcalcError(f"query: {given!r} is not (prompt, output) tokens") from None
    return [_pair(prompt, output)]


def _pair(prompt: float, output: float) -> tuple[float, float]:
    if not (0 <= prompt <= MAX_TOKENS and 1 <= output <= MAX_TOKENS and prompt == int(prompt) and output == int(output)):
        shown = f"{units.plain(prompt)}:{units.plain(output)}"
        raise RoofcalcError(f"query: {shown}: expected whole numbers, a prompt from 0 and an output from 1 to {MAX_TOKENS} tokens")
    return prompt, output


def _api_prices(api: Names | None, price_in: Numbers | None, price_out: Numbers | None, queries: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Dollars per million tokens in and out for each query; None where no API is asked for."""
    if api is None and price_in is None and price_out is None:
        return None
    if api is not None:
        if price_in is not None or price_out is not None:
            raise RoofcalcError("--api: give names, or their --price-in and --price-out, not both")
        found = [api_price(name) for name in _api_names(api)]
        sides = [np.array([one.price_in for one in found]), np.array([one.price_out for one in found])]
    elif price_in is None or price_out is None:
        raise RoofcalcError("--price-in, --price-out: an API has both, in USD per million tokens")
    else:
        sides = [positive(price_in, "price_in", 0, 1e9), positive(price_out, "price_out", 0, 1e9)]
    for side, name in zip(sides, ("api", "api") if api is not None else ("price_in", "price_out"), strict=True):
        if side.size not in (1, queries):
            raise RoofcalcError(f"{name}: expected one for all queries or one for each of the {queries}, got {side.size}")
    first, second = (np.broadcast_to(side, (queries,)) for side in sides)
    return first, second


def _api_names(api: Names | None) -> list[str]:
    return [] if api is None else [str(name).strip() for name in (api.split(",") if isinstance(api, str) else api)]
