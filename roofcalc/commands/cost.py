"""Cost of tokens and queries, in money and energy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np

from roofcalc import units
from roofcalc.catalog.api_prices import api_price
from roofcalc.commands.arguments import MAX_TOKENS, Names, Numbers, number_array
from roofcalc.commands.idle_changes import notes_idle_changes
from roofcalc.commands.options import Options
from roofcalc.commands.price import device_price, note_idle_power, power_w, pricing
from roofcalc.commands.price import idle_power as idle_power_of
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import serving
from roofcalc.commands.workload import check_prompts, note_other_pool, required_interactivity, workload
from roofcalc.deployment.deployment import Deployment
from roofcalc.economics import cost as money
from roofcalc.economics.ownership import SECONDS_PER_DAY, at_load, break_even_per_day, power_at
from roofcalc.economics.request_time import request_time
from roofcalc.errors import RoofcalcError
from roofcalc.physics.prompt_cache import found_tokens
from roofcalc.physics.serving import ServedStep
from roofcalc.report import columns
from roofcalc.report.table import Table
from roofcalc.solvers import fit_advice
from roofcalc.solvers import max_batch as solver
from roofcalc.specs.device import Hardware
from roofcalc.specs.model import Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

Query = str | tuple[float, float]
LEAST_LOAD = 1e-6


@notes_idle_changes
def cost(
    model: Names | Model,
    hardware: Names | Hardware,
    *,
    query: Query | Sequence[Query] | None = None,
    interactivity: Numbers | None = None,
    load: Numbers | None = None,
    usd_per_hour: Numbers | None = None,
    capex: Numbers | None = None,
    years: Numbers | None = None,
    power_price: Numbers | None = None,
    pue: Numbers | None = None,
    idle_power: Numbers | None = None,
    api: Names | None = None,
    price_in: Numbers | None = None,
    price_out: Numbers | None = None,
    kv_at: str | None = None,
    chunk: Numbers | None = None,
    **options: Unpack[Options],
) -> Table:
    """Money and energy per token and query, at the largest batch that fits and meets the required interactivity.

    Parameters
    ----------
    model, hardware, kv_at, chunk, options
        As `max_batch` takes them.
    query : "PROMPT:OUTPUT", (prompt, output), or a list of them
        Prompt and output tokens; `relative_cost` is relative to the first query.
    interactivity : tok/s/user
        Lowest acceptable speed of each user (default 30).
    load : number or list of numbers
        Share of the paid capacity that is used, above 0 and up to 1 (default 1): the hours are paid whether they are used or not.
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).
    capex, years
        Instead: USD for one device, with its share of the machine around it, and the years over which they are spread.
    power_price, pue
        In addition: USD per kWh, and facility over IT energy (default 1). The power is the nominal one at full load.
    idle_power
        Power of an idle machine over the nominal (default 0.15), for loads below 1.
    api : str or list of str
        An API to compare with (`roofcalc.catalog.api_prices`): one for all queries, or one per query.
    price_in, price_out
        Instead of `api`: its USD per million input and output tokens, one for all queries or one per query.

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, override, query, interactivity and load.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.

    Notes
    -----
    A query pays for the seconds of the machine that `max-batch` needs per request at the same point: its share of the decode steps, and
    what is left over for its prompt (`roofcalc.economics.request_time`). At a load below 1 it pays for idle hours too.
    """
    prompts, outputs = _queries(query)
    api_prices = _api_prices(api, price_in, price_out, prompts.size)
    loads = number_array(1.0 if load is None else load, "--load", LEAST_LOAD, 1)
    idle = bool((loads < 1).any()) or (bool(api_prices) and power_price is not None)  # a break-even is below full load too
    chosen = pricing(usd_per_hour, capex, years, power_price, pue, idle_power, idle=idle, energy=True)
    given = tuple(name for name, value in (("kv_at", kv_at), ("chunk", chunk)) if value is not None)
    results = columns.COST + (columns.COST_API if api_prices else ()) + columns.COST_LOAD + (columns.COST_BREAK_EVEN if api_prices else ())
    request = Request("cost", results, model, hardware, options, (*given, *chosen.given))
    for price in {one.name: one for one in map(api_price, _api_names(api))}.values():
        cached = "" if price.price_cached_in is None else f", {price.price_cached_in:g} in from its cache"
        request.note(f"{price.name}: {price.price_in:g} USD per million tokens in, {price.price_out:g} out{cached} ({price.date}, {price.source})")
    rates = required_interactivity(request, interactivity)
    if load is None:
        request.note("load: 1, all of the paid capacity is used (--load)")
    if idle:
        note_idle_power(request, chosen)
    note_other_pool(request)
    check_prompts(request, prompts)
    of_text = prompts
    for default, changes in request.deployments():
        prompts = of_text + request.image_tokens(default.model)
        deployment = serving(request, default, workload([prompts, outputs], kv_at, chunk).seq)
        number, rate, used = request.cross(np.arange(prompts.size), rates, loads)
        prompt, output = prompts[number], outputs[number]
        request.note_context(deployment.model, prompt + output)
        price_of_device, watts = device_price(request, deployment.hardware, chosen), power_w(request, deployment.hardware)
        work = workload([prompt, output], kv_at, chunk)
        prefill_s, decode_s = np.full(rate.shape, np.nan), np.full(rate.shape, np.nan)
        if deployment.has_time:
            paced = ServedStep(work.step(deployment), prompt, output, work.chunk)
            solved = solver.max_batch(deployment, work.seq, rate, paced)
            taken = request_time(paced, np.maximum(solved.max_batch, 1))
            decode_s, prefill_s = (np.where(solved.max_batch > 0, one, np.nan) for one in (taken.output_s, taken.prompt_s))
        else:
            solved = solver.max_batch(deployment, work.seq, rate)
        if not solved.batch_memory.all():
            request.note(fit_advice.what_would_fit(deployment, float(work.seq[np.argmin(solved.batch_memory)])))
        elif deployment.has_time and not solved.max_batch.all():
            slow, alone = int(np.argmin(solved.max_batch)), deployment.accepted / paced.seconds(1.0)
            where = f"{deployment.model.name} on {deployment.hardware.name}"
            request.note(f"{where}: a single user gets {alone[slow]:.4g} tok/s, less than the {rate[slow]:g} required (--interactivity)")
        devices, machine_s, hour = deployment.hardware.count, prefill_s + decode_s, price_of_device.at(used)
        usd_in, usd_out, usd_per_query = (at_load(money.usd(one, devices, hour), used) for one in (prefill_s, decode_s, machine_s))
        values: dict[str, Any] = {}
        if api_prices:
            values = _against_api(request, deployment, api_prices.only(number), prompt, output, usd_per_query)
            queries = break_even_per_day(price_of_device, devices, machine_s, values["api_usd_per_query"])
            values["break_even_tok_per_day"] = queries * (prompt + output)
            values["break_even_load"] = queries * machine_s / SECONDS_PER_DAY
        request.add(
            deployment,
            changes,
            seq=work.seq,
            prompt=prompt,
            output=output,
            min_interactivity_tok_s=rate,
            batch=solved.max_batch,
            usd_per_mtok_in=money.per_million(usd_in, prompt),
            usd_per_mtok_out=money.per_million(usd_out, output),
            usd_per_query=usd_per_query,
            relative_cost=machine_s / np.tile(machine_s[: rates.size * loads.size], prompts.size),
            joule_per_token=money.joule_per_token(decode_s, at_load(power_at(watts, idle_power_of(chosen), used), used), output),
            load=used,
            usd_per_device_hour=hour,
            kv_at=work.kv_at,
            chunk=work.chunk,
            **chosen.stated(),
            **values,
        )
    return request.table


def _against_api(
    request: Request, deployment: Deployment, prices: ApiPrices, prompt: NDArray[Any], output: NDArray[Any], usd_per_query: NDArray[Any]
) -> dict[str, Any]:
    """Columns that compare a query with its price at an API, whose cache finds what one's own finds."""
    found = found_tokens(deployment, prompt)
    if (found > 0).any() and np.isnan(prices.usd_cached_in).any():
        request.note("API price: no price of cached tokens is known, so all input tokens count alike")
    cached_in = np.where(np.isnan(prices.usd_cached_in), prices.usd_in, prices.usd_cached_in)
    price = money.api_usd(prompt, output, prices.usd_in, prices.usd_out, found, cached_in)
    return {"api_usd_per_query": price, "margin": money.margin(price, usd_per_query)}


def _queries(value: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Prompt and output tokens of every query.

    Raises
    ------
    RoofcalcError
        No query, or one that is not PROMPT:OUTPUT in whole numbers.
    """
    items = [] if value is None else [value] if isinstance(value, (str, tuple)) else list(value)
    pairs = [pair for item in items for pair in _pairs(item)]
    if not pairs:
        raise RoofcalcError("--query: give at least one as PROMPT:OUTPUT tokens, for instance --query 1000:500")
    prompts, outputs = (np.array(side, dtype=float) for side in zip(*pairs, strict=True))
    return prompts, outputs


def _pairs(value: Any) -> list[tuple[float, float]]:
    if isinstance(value, str):
        parts = [text.split(":") for text in value.split(",")]
        if any(len(part) != 2 for part in parts):
            raise RoofcalcError(f"--query: {value!r} is not PROMPT:OUTPUT tokens, such as 1000:500 or 4k:1k")
        return [_pair(units.number(prompt, "--query"), units.number(output, "--query")) for prompt, output in parts]
    try:
        prompt, output = (float(tokens) for tokens in value)
    except (TypeError, ValueError):
        raise RoofcalcError(f"--query: {value!r} is not (prompt, output) tokens") from None
    return [_pair(prompt, output)]


def _pair(prompt: float, output: float) -> tuple[float, float]:
    if not (0 <= prompt <= MAX_TOKENS and 1 <= output <= MAX_TOKENS and prompt == int(prompt) and output == int(output)):
        shown = f"{units.plain(prompt)}:{units.plain(output)}"
        raise RoofcalcError(f"--query: {shown}: expected whole numbers, a prompt from 0 and an output from 1 to {MAX_TOKENS} tokens")
    return prompt, output


class ApiPrices(NamedTuple):
    """USD per million input tokens, output tokens, and input tokens from the API's cache (nan where not known), for each query."""

    usd_in: NDArray[Any]
    usd_out: NDArray[Any]
    usd_cached_in: NDArray[Any]

    def only(self, number: NDArray[Any]) -> ApiPrices:
        """The prices of these queries."""
        return ApiPrices(*(side[number.astype(np.intp)] for side in self))


def _api_prices(api: Names | None, price_in: Numbers | None, price_out: Numbers | None, queries: int) -> ApiPrices | None:
    """The API prices to compare with; None if no API was given."""
    if api is None and price_in is None and price_out is None:
        return None
    if api is not None:
        if price_in is not None or price_out is not None:
            raise RoofcalcError("--api: give names, or their --price-in and --price-out, not both")
        listed = [api_price(name) for name in _api_names(api)]
        figures = [
            [price.price_in for price in listed],
            [price.price_out for price in listed],
            [np.nan if price.price_cached_in is None else price.price_cached_in for price in listed],
        ]
        sides = [("--api", np.array(one, dtype=float)) for one in figures]
    elif price_in is None or price_out is None:
        raise RoofcalcError("--price-in, --price-out: give both, in USD per million tokens")
    else:
        sides = [(label, number_array(value, label, 0, 1e9)) for label, value in (("--price-in", price_in), ("--price-out", price_out))]
        sides.append(("--price-in", np.array([np.nan])))
    for label, side in sides:
        if side.size not in (1, queries):
            raise RoofcalcError(f"{label}: expected one for all queries or one for each of the {queries}, got {side.size}")
    return ApiPrices(*(np.broadcast_to(side, (queries,)) for _, side in sides))


def _api_names(api: Names | None) -> list[str]:
    return [] if api is None else [str(name).strip() for name in (api.split(",") if isinstance(api, str) else api)]
