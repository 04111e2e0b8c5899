"""The formulas that functions carry: each one parses, says what its function computes, and survives `python -OO`."""

import importlib
import math
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import roofcalc
from roofcalc.deployment.deployment import Draft
from roofcalc.economics import cost, overtraining, reliability, rl_rollouts, voting
from roofcalc.report.explain.formulas import evaluate, symbols
from roofcalc.solvers import frontier
from roofcalc.specs.formula import formulas, registered
from tests.each import each

ROOT = Path(__file__).parents[2]


def import_everything() -> None:
    for module in pkgutil.walk_packages(roofcalc.__path__, "roofcalc."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


FORMULAS = [(key, name, text) for key, found in registered().items() for name, text in found.items()]


@each(FORMULAS)
def test_a_formula_has_a_value(key: str, name: str, text: str) -> None:
    assert isinstance(evaluate(text, dict.fromkeys(symbols(text), 0.5)), float)


def test_there_are_no_formulas_left_in_docstrings() -> None:
    with_section = [str(file) for file in (ROOT / "roofcalc").rglob("*.py") if "\n    Formulas\n    ---" in file.read_text()]
    assert not with_section


def test_a_method_that_overrides_another_has_formulas_of_its_own() -> None:
    from roofcalc.physics.kv_span import Full, Span, Window

    assert formulas(Full.cumulative_reads) != formulas(Window.cumulative_reads)
    assert not formulas(Span.cumulative_reads)


# Each function against its own formula, evaluated by the parser and not by the function.
SINGLE = (
    (
        cost.output_seconds,
        "output_s",
        {"osl": 700.0, "A": 2.5, "T_step": 0.03, "B": 12.0},
        lambda v: cost.output_seconds(v["T_step"], v["osl"], v["B"], v["A"]),
    ),
    (cost.usd, "usd", {"machine_s": 500.0, "devices": 8.0, "usd_per_hour": 2.5}, lambda v: cost.usd(v["machine_s"], 8, v["usd_per_hour"])),
    (cost.per_million, "usd_per_mtok", {"usd": 0.3, "tokens": 700.0}, lambda v: cost.per_million(v["usd"], v["tokens"])),
    (
        cost.joule_per_token,
        "joule",
        {"machine_s": 9.0, "power": 700.0, "tokens": 70.0},
        lambda v: cost.joule_per_token(v["machine_s"], v["power"], v["tokens"]),
    ),
    (
        cost.api_usd,
        "api_usd",
        {"isl": 140.0, "osl": 775.0, "price_in": 2.5, "price_out": 10.0, "found": 40.0, "price_cached_in": 0.5},
        lambda v: cost.api_usd(v["isl"], v["osl"], v["price_in"], v["price_out"], v["found"], v["price_cached_in"]),
    ),
    (cost.margin, "margin", {"usd": 0.3, "api_usd": 0.7}, lambda v: cost.margin(v["api_usd"], v["usd"])),
    (
        reliability.device_hours,
        "device_hours",
        {"devices": 16.0, "osl": 1e5, "interactivity": 30.0},
        lambda v: reliability.device_hours(16, v["osl"], v["interactivity"]),
    ),
    (
        reliability.hit_probability,
        "hit",
        {"event_rate": 2e-3, "device_hours": 40.0},
        lambda v: reliability.hit_probability(v["event_rate"], v["device_hours"]),
    ),
    (
        reliability.expected_lost_tokens,
        "lost",
        {"event_rate": 2e-2, "device_hours": 40.0, "osl": 1e4},
        lambda v: reliability.expected_lost_tokens(v["event_rate"], v["device_hours"], v["osl"]),
    ),
    (
        rl_rollouts.generated_tokens,
        "G",
        {"problems": 9.0, "rollouts": 5.0, "suffix": 800.0, "prefix": 90.0},
        lambda v: rl_rollouts.generated_tokens(v["problems"], v["rollouts"], v["suffix"], v["prefix"]),
    ),
    (
        rl_rollouts.generation_flop,
        "generation",
        {"params": 8e9, "G": 1e6, "attention_flop": 3e15},
        lambda v: rl_rollouts.generation_flop(v["params"], v["G"], v["attention_flop"]),
    ),
    (rl_rollouts.pass_flop, "pass", {"params": 8e9, "G": 1e6}, lambda v: rl_rollouts.pass_flop(v["params"], v["G"])),
    (
        rl_rollouts.train_flop,
        "train",
        {"κ": 0.4, "params": 8e9, "G": 1e6, "forwards": 3.0},
        lambda v: rl_rollouts.train_flop(v["params"], v["G"], v["κ"], v["forwards"]),
    ),
    (
        rl_rollouts.pretrain_flop,
        "pretrain",
        {"params": 8e9, "train_tokens": 1e12},
        lambda v: rl_rollouts.pretrain_flop(v["params"], v["train_tokens"]),
    ),
    (voting.pass_at_k, "pass_at_k", {"accuracy": 0.3, "answers": 5.0}, lambda v: voting.pass_at_k(v["accuracy"], v["answers"])),
    (
        frontier.disaggregated_throughput,
        "throughput",
        {"prefill_rate": 3.0, "osl": 500.0, "decode_rate": 900.0},
        lambda v: frontier.disaggregated_throughput(v["prefill_rate"], v["osl"], v["decode_rate"]),
    ),
)


@pytest.mark.parametrize(("function", "name", "values", "call"), SINGLE, ids=lambda one: getattr(one, "__name__", None))
def test_a_function_follows_its_formula(function: object, name: str, values: dict[str, float], call: object) -> None:
    assert float(np.asarray(call(values))) == pytest.approx(evaluate(formulas(function)[name], values), rel=1e-9)  # type: ignore[operator, arg-type]


def test_accepted_tokens_follow_their_formula() -> None:
    getter = Draft.__dict__["accepted"].fget
    assert Draft(3, 0.7).accepted == pytest.approx(evaluate(formulas(getter)["A"], {"α": 0.7, "q": 4.0}))


def test_scaling_laws_follow_their_formulas() -> None:
    law = overtraining.LAWS["hoffmann"]  # E 1.69, A 406.4, B 410.7, α 0.34, β 0.28 (arXiv 2203.15556, equation 10)
    values = {"E_law": 1.69, "A_law": 406.4, "B_law": 410.7, "α_law": 0.34, "β_law": 0.28, "params": 7e10, "fold": 3.0, "train_tokens": 1e12}
    values["token_ratio"] = evaluate(formulas(overtraining.token_ratio)["token_ratio"], values)
    values["train_flop_ratio"] = evaluate(formulas(overtraining.train_flop_ratio)["train_flop_ratio"], values)
    assert float(overtraining.optimal_tokens(law, 7e10)) == pytest.approx(evaluate(formulas(overtraining.optimal_tokens)["train_tokens"], values))
    assert float(overtraining.token_ratio(law, 3.0)) == pytest.approx(values["token_ratio"])
    assert float(overtraining.train_flop_ratio(law, 3.0)) == pytest.approx(values["train_flop_ratio"])
    assert overtraining.max_fold(law) == pytest.approx(evaluate(formulas(overtraining.max_fold)["largest fold"], values))
    ratio = values["train_flop_ratio"]
    assert float(overtraining.break_even_tokens(ratio, 3.0, 1e12)) == pytest.approx(
        evaluate(formulas(overtraining.break_even_tokens)["break_even"], values)
    )
    # the optimum is where the derivative of the loss along 6·N·D = const vanishes: moving along it by 1 % only raises the loss
    best = float(overtraining.optimal_tokens(law, 7e10))
    loss = [
        evaluate(formulas(overtraining.Law)["loss"], {**values, "params": 7e10 * move, "train_tokens": best / move}) for move in (0.99, 1.0, 1.01)
    ]
    assert loss[1] < min(loss[0], loss[2])


def test_a_vote_by_verifier_follows_its_formulas() -> None:
    values = {"accuracy": 0.3, "recall": 0.8, "false_positive": 0.1, "answers": 5.0}
    found = formulas(voting.verifier_accuracy)
    values["accepted"] = evaluate(found["accepted"], values)
    assert float(voting.verifier_accuracy(0.3, 5, 0.8, 0.1)) == pytest.approx(evaluate(found["verifier"], values), rel=1e-9)


@pytest.mark.parametrize(
    ("text", "value"), [("tri(4)", 10.0), ("binom(7, 2)/binom(8, 2)", 0.75), ("exp(−2)·2^3", 8 * math.exp(-2)), ("ceil(7/2) − floor(7/2)", 1.0)]
)
def test_functions_of_formulas(text: str, value: float) -> None:
    assert evaluate(text) == pytest.approx(value)
