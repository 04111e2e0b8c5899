"""Money and energy: the published comparisons, hand computations, and bad input."""

import json
from pathlib import Path

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.catalog import lookup
from roofcalc.catalog.api_prices import api_prices
from roofcalc.deployment.assumptions import assumptions
from roofcalc.deployment.deployment import deploy
from roofcalc.economics import cost as money
from roofcalc.physics.generation import mean_step, output_tok_s
from tests.cli.test_cli import ASSUMED
from tests.shell import LLAMA, refused, rows, run

PUBLISHED = "llama-3.1-405b 8xh100-sxm --weights all=fp8 --network ideal --mbu 0.775 --mfu 0.717 --interactivity 30 --usd-per-hour 3"


def test_columns_are_the_contract() -> None:
    own = "prompt,output,min_interactivity_tok_s,batch,usd_per_mtok_in,usd_per_mtok_out,usd_per_query,relative_cost,joule_per_token"
    load = "load,usd_per_device_hour"
    line = f"cost {LLAMA} --query 140:775 --usd-per-hour 3"
    assert run(f"{line} -f csv").stdout.splitlines()[0] == f"model,hardware,weights,kv,{own},{load},{ASSUMED}"
    with_api = f"model,hardware,weights,kv,{own},api_usd_per_query,margin,{load},break_even_tok_per_day,break_even_load,{ASSUMED}"
    assert run(f"{line} --price-in 1 --price-out 2 -f csv").stdout.splitlines()[0] == with_api
    assert ",".join(json.loads(run(f"{line} --api gpt-4o -f json").stdout)["rows"][0]) == with_api


def test_published_token_cost_at_its_contexts() -> None:
    # The last steps of 775 and 7,661 tokens, memory aside: 368 and 72 users, 368/72 = 5.1 times the cost of a token
    # as of pure decode steps, with no prompt in between
    at = PUBLISHED.replace(" --usd-per-hour 3", "")
    short, long = rows(f"max-batch {at} --seq 775,7661 --set hardware.memory.capacity_gb=200")
    assert (short["max_batch"], long["max_batch"]) == ("368", "72")
    assert float(short["throughput_tok_s"]) / float(long["throughput_tok_s"]) == pytest.approx(368 / 72, rel=0.005)  # a whole user more or less


def test_published_token_cost_of_whole_generations() -> None:
    # Means over the generations, and 640 GB hold 59 sequences at their end: still "more than 5 times"
    short, long = rows(f"cost {PUBLISHED} --query 0:775 --query 0:7661")
    assert long["batch"] == "59"
    per_token = float(long["usd_per_mtok_out"]) / float(short["usd_per_mtok_out"])
    assert per_token > 5
    assert float(long["relative_cost"]) == pytest.approx(per_token * 7661 / 775) and float(short["relative_cost"]) == 1
    assert short["usd_per_mtok_in"] == ""  # no prompt


def test_published_api_prices_per_token_and_per_query() -> None:
    # o1-preview against GPT-4o: 6 times per token; (140 · 15 + 7,661 · 60)/(140 · 2.5 + 775 · 10) = 57 times per query
    line = f"cost {LLAMA} --query 140:7661 --query 140:775 --usd-per-hour 3"
    one, other = rows(f"{line} --api o1-preview,gpt-4o")
    assert float(one["api_usd_per_query"]) == pytest.approx((140 * 15 + 7661 * 60) / 1e6)
    assert float(one["api_usd_per_query"]) / float(other["api_usd_per_query"]) == pytest.approx(57, abs=0.1)
    assert api_prices()["o1-preview"].price_out / api_prices()["gpt-4o"].price_out == 6
    by_price = rows(f"{line} --price-in 15,2.5 --price-out 60,10")
    assert [row["api_usd_per_query"] for row in by_price] == [one["api_usd_per_query"], other["api_usd_per_query"]]
    assert "o1-preview: 15 USD per million tokens in, 60 out (2024-09-12, https://" in run(f"{line} --api o1-preview").stderr


def test_published_api_prices_of_the_small_pair() -> None:
    # 20 times per token; 24 times per query, whose tokens are not printed, follows where o1-mini answers in 1.2 times the
    # tokens (prompts left aside): 20 · 1.2
    small, large = api_prices()["gpt-4o-mini"], api_prices()["o1-mini"]
    assert large.price_in / small.price_in == pytest.approx(20) and large.price_out / small.price_out == pytest.approx(20)
    answers = money.api_usd(0, np.array([1.2 * 775, 775.0]), np.array([3.0, 0.15]), np.array([12.0, 0.6]))
    assert answers[0] / answers[1] == pytest.approx(24)


def test_by_hand() -> None:
    # 8 devices at 3 USD an hour for 1,800 seconds: 12 USD; over 4,000 tokens 3,000 USD per million; at 5,600 W 2,520 J each
    assert float(money.usd(1800, 8, 3)) == 12
    assert float(money.per_million(12, 4000)) == 3000
    assert float(money.joule_per_token(1800, 5600, 4000)) == 2520
    # 500 tokens in steps of 20 ms that 40 queries share: a quarter of a second of the machine; half of it with 2 tokens per step
    assert float(money.output_seconds(0.02, 500, 40)) == 0.25 and float(money.output_seconds(0.02, 500, 40, 2.0)) == 0.125
    assert float(money.margin(4, 1)) == 0.75 and float(money.margin(1, 4)) == -3


def test_a_query_by_hand() -> None:
    # Llama 3.1 8B, one H100, one step at a context of 1,000 after a prompt of 999
    (row,) = rows("cost llama-3.1-8b h100-sxm --query 999:1 --interactivity 20 --usd-per-hour 3.6")
    batch = int(row["batch"])
    # the prompt: layers of 2 · 6,979,321,856 FLOPs per token, attention 524,288 per pair of 999 · 1,000/2, and the head's
    # 1,050,673,152 bytes for the last token
    prompt = (999 * 2 * 6_979_321_856 + 524_288 * 999 * 500) / 989.4e12 + 1_050_673_152 / 3350e9
    # (15,009,316,864 + B · 131,072,000 bytes) / 3,350e9, and half of the B − 1 other prompts (the other half comes before the
    # prompt), within 50 ms
    assert batch == int((1 / 20 - 15_009_316_864 / 3350e9 + prompt / 2) / (131_072_000 / 3350e9 + prompt / 2))
    step = (15_009_316_864 + batch * 131_072_000) / 3350e9
    assert float(row["usd_per_mtok_out"]) == pytest.approx(step / batch * 3.6 / 3600 * 1e6, rel=1e-9)
    assert float(row["joule_per_token"]) == pytest.approx(step / batch * 700, rel=1e-9)
    assert float(row["usd_per_mtok_in"]) * 999 / 1e6 == pytest.approx(prompt * 3.6 / 3600, rel=1e-9)
    total = (float(row["usd_per_mtok_in"]) * 999 + float(row["usd_per_mtok_out"])) / 1e6
    assert float(row["usd_per_query"]) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("layout", [{}, {"tp": 1, "dp": 8}, {"tp": 2, "pp": 4}, {"tp": 4, "pp": 1, "dp": 2}])
def test_queries_cost_what_the_machine_s_throughput_says(layout: dict[str, int]) -> None:
    # machine seconds per query = output tokens / throughput with the prompts on the same devices
    hardware = lookup.hardware("8xh100-sxm")[0]
    deployment = deploy(lookup.model("llama-3.1-8b")[0], hardware, assumptions=assumptions(), **layout)  # type: ignore[arg-type]
    table = rc.cost("llama-3.1-8b", hardware, query=(2000, 500), usd_per_hour=3.6, **layout)  # type: ignore[arg-type]
    batch = table["batch"]
    rate = output_tok_s(deployment, np.array([2000.0]), np.array([500.0]), batch, mean_step(deployment, np.array([2000.0]), np.array([500.0])))
    assert table["usd_per_query"][0] == pytest.approx(float(500 / rate[0]) * 8 * 3.6 / 3600, rel=1e-9)


def test_the_price_table_is_asked_and_named() -> None:
    result = run(f"cost {LLAMA} --query 140:775 -f json")
    note = next(text for text in json.loads(result.stdout)["notes"] if "USD per device-hour" in text)
    assert note.startswith("h100-sxm: ") and "on-demand, 20" in note and "https://" in note
    price = float(note.split()[1])
    (given,) = rows(f"cost {LLAMA} --query 140:775 --usd-per-hour {price}")
    assert json.loads(result.stdout)["rows"][0]["usd_per_query"] == pytest.approx(float(given["usd_per_query"]), rel=1e-3)


def test_without_a_price_or_a_power_figures_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {bf16: 100}\n")
    first, second = rows(f"cost llama-3.1-8b {path} --query 100:100,100:200")
    assert first["usd_per_query"] == first["usd_per_mtok_in"] == first["joule_per_token"] == "" and int(first["batch"]) > 0
    priced = rows(f"cost llama-3.1-8b {path} --query 100:100,100:200 --usd-per-hour 1")
    assert second["relative_cost"] == priced[1]["relative_cost"] and float(second["relative_cost"]) > 1  # it needs no price
    notes = run(f"cost llama-3.1-8b {path} --query 100:100").stderr
    assert "mine: not in the price table" in notes and "mine: power is not known" in notes
    path.write_text("name: mine\nvendor: x\nmemory: {capacity_gb: 80, bandwidth_gb_s: 1000}\npeak_tflop_s: {fp64: 100}\n")
    (row,) = rows(f"cost llama-3.1-8b {path} --query 100:100 --usd-per-hour 1")
    assert row["usd_per_query"] == row["relative_cost"] == row["batch"] == ""  # no peak for bf16: how many are fast enough is unknown


def test_what_does_not_fit_has_no_cost() -> None:
    result = run("cost llama-3.1-405b h100-sxm --query 10:10 --usd-per-hour 3 -f json")
    (row,) = json.loads(result.stdout)["rows"]
    assert row["batch"] == 0 and row["usd_per_query"] is None and row["usd_per_mtok_out"] is None
    assert any("does not fit" in text for text in json.loads(result.stdout)["notes"])


def test_systems_pay_and_draw_as_a_whole() -> None:
    alone, system = (rows(f"cost llama-3.1-405b {name} --weights all=fp8 --query 140:775 --usd-per-hour 3")[0] for name in ("8xh100-sxm", "dgx-h100"))
    assert system["usd_per_query"] == alone["usd_per_query"]
    # DGX H100: 10.2 kW in all, against 8 · 700 W of the devices by themselves
    assert float(system["joule_per_token"]) / float(alone["joule_per_token"]) == pytest.approx(10.2 / 5.6)


def test_queries_cross_with_paces_and_refer_to_the_first_at_each() -> None:
    table = rc.cost("llama-3.1-70b", "4xh100-sxm", query=["1k:100", (1000, 1000)], interactivity=[20, 50], weights="all=fp8", usd_per_hour=1)
    assert table["output"].tolist() == [100, 100, 1000, 1000] and table["min_interactivity_tok_s"].tolist() == [20, 50, 20, 50]
    assert table["relative_cost"][:2].tolist() == [1, 1]
    np.testing.assert_allclose(table["relative_cost"][2:], table["usd_per_query"][2:] / table["usd_per_query"][:2])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "query: give at least one as PROMPT:OUTPUT tokens"),
        ("--query 100", "query: '100' is not PROMPT:OUTPUT tokens, such as"),
        ("--query 1:2:3", "is not PROMPT:OUTPUT tokens"),
        ("--query 100:0", "query: 100:0: expected whole numbers"),
        ("--query -1:5", "query: -1:5: expected whole numbers"),
        ("--query 1.5:5", "query: 1.5:5: expected whole numbers"),
        ("--query a:b", "query: 'a' is not a number"),
        ("--query 1:2 --usd-per-hour -1", "--usd-per-hour: expected 0 to"),
        ("--query 1:2 --usd-per-hour 1,2", "--usd-per-hour: expected one number"),
        ("--query 1:2 --price-in 1", "--price-in, --price-out: give both"),
        ("--query 1:2 --price-in 1,2 --price-out 3", "--price-in: expected one for all queries or one for each of the 1, got 2"),
        ("--query 1:2 --api o1", "--api: unknown API 'o1'; did you mean o1-"),
        ("--query 1:2 --api gpt-4o --price-in 1", "not both"),
        ("--query 1:2 --interactivity -1", "interactivity: expected"),
        ("--query 1:2 --kv-at begin", "--kv-at: invalid choice 'begin' (choose from end, mean)"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    text = refused(f"cost llama-3.1-8b h100-sxm {line}")
    assert complaint in text and len(text.splitlines()) == 1
