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
from roofcalc.commands.price import power_w, usd_per_device_hour
from roofcalc.commands.request import Request
from roofcalc.commands.serving_layout import serving
from roofcalc.commands.workload import check_prompts, note_other_pool, required_interactivity, workload
from roofcalc.economics import cost as money
from roofcalc.economics.request_time import request_time
from roofcalc.errors import RoofcalcError
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


@notes_idle_changes
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
    """Money and energy per token and query, at the largest batch that fits and meets the required interactivity.

    Parameters
    ----------
    model, hardware, kv_at, chunk, options
        As `max_batch` takes them.
    query : "PROMPT:OUTPUT", (prompt, output), or a list of them
        Prompt and output tokens; `relative_cost` is relative to the first query.
    interactivity : tok/s/user
        Lowest acceptable speed of each user (default 30).
    usd_per_hour
        USD per device-hour (default: the newest on-demand price in the price table).
    api : str or list of str
        An API to compare with (`roofcalc.catalog.api_prices`): one for all queries, or one per query.
    price_in, price_out
        Instead of `api`: its USD per million input and output tokens, one for all queries or one per query.

    Returns
    -------
    Table
        One row per model, hardware, weights, KV dtype, layout, override, query and interactivity.

    Raises
    ------
    RoofcalcError
        Invalid arguments, one line per problem.

    Notes
    -----
    A query pays for the seconds of the machine that `max-batch` needs per request at the same point: its share of the decode steps, and
    what is left over for its prompt (`roofcalc.economics.request_time`).
    """
    prompts, outputs = _queries(query)
    api_prices = _api_prices(api, price_in, price_out, prompts.size)
    given = tuple(name for name, value in (("kv_at", kv_at), ("chunk", chunk)) if value is not None)
    request = Request("cost", columns.COST + (columns.COST_API if api_prices else ()), model, hardware, options, given)
    for name in dict.fromkeys(_api_names(api)):
        price = api_price(name)
        request.note(f"{name}: {price.price_in:g} USD per million tokens in, {price.price_out:g} out ({price.date}, {price.source})")
    rates = required_interactivity(request, interactivity)
    note_other_pool(request)
    check_prompts(request, prompts)
    for default, changes in request.deployments():
        deployment = serving(request, default, workload([prompts, outputs], kv_at, chunk).seq)
        number, rate = request.cross(np.arange(prompts.size), rates)
        prompt, output = prompts[number], outputs[number]
        request.note_context(deployment.model, prompt + output)
        hour, watts = usd_per_device_hour(request, deployment.hardware, usd_per_hour), power_w(request, deployment.hardware)
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
        devices, machine_s = deployment.hardware.count, prefill_s + decode_s
        usd_per_query = money.usd(machine_s, devices, hour)
        values: dict[str, Any] = {}
        if api_prices:
            values["api_usd_per_query"] = money.api_usd(prompt, output, api_prices.usd_in[number], api_prices.usd_out[number])
            values["margin"] = money.margin(values["api_usd_per_query"], usd_per_query)
        request.add(
            deployment,
            changes,
            seq=work.seq,
            prompt=prompt,
            output=output,
            min_interactivity_tok_s=rate,
            batch=solved.max_batch,
            usd_per_mtok_in=money.per_million(money.usd(prefill_s, devices, hour), prompt),
            usd_per_mtok_out=money.per_million(money.usd(decode_s, devices, hour), output),
            usd_per_query=usd_per_query,
            relative_cost=machine_s / np.tile(machine_s[: rates.size], prompts.size),
            joule_per_token=money.joule_per_token(decode_s, watts, output),
            kv_at=work.kv_at,
            chunk=work.chunk,
            **values,
        )
    return request.table


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
    """USD per million input and output tokens, for each query."""

    usd_in: NDArray[Any]
    usd_out: NDArray[Any]


def _api_prices(api: Names | None, price_in: Numbers | None, price_out: Numbers | None, queries: int) -> ApiPrices | None:
    """The API prices to compare with; None if no API was given."""
    if api is None and price_in is None and price_out is None:
        return None
    if api is not None:
        if price_in is not None or price_out is not None:
            raise RoofcalcError("--api: give names, or their --price-in and --price-out, not both")
        listed = [api_price(name) for name in _api_names(api)]
        sides = [("--api", np.array([price.price_in for price in listed])), ("--api", np.array([price.price_out for price in listed]))]
    elif price_in is None or price_out is None:
        raise RoofcalcError("--price-in, --price-out: give both, in USD per million tokens")
    else:
        sides = [(label, number_array(value, label, 0, 1e9)) for label, value in (("--price-in", price_in), ("--price-out", price_out))]
    for label, side in sides:
        if side.size not in (1, queries):
            raise RoofcalcError(f"{label}: expected one for all queries or one for each of the {queries}, got {side.size}")
    return ApiPrices(*(np.broadcast_to(side, (queries,)) for _, side in sides))


def _api_names(api: Names | None) -> list[str]:
    return [] if api is None else [str(name).strip() for name in (api.split(",") if isinstance(api, str) else api)]
