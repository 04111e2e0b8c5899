"""Scaling laws: published constants, the optimum and equal losses found in a second way, and the command."""

import numpy as np
import pytest

import roofcalc as rc
from roofcalc.economics.overtraining import LAWS, break_even_tokens, fold_for, max_fold, optimal_tokens, token_ratio, train_flop_ratio
from tests.shell import refused, rows, run


def loss(law: str, params: float, tokens: float) -> float:
    """E + A/N^α + B/D^β with the constants of arXiv 2203.15556 and arXiv 2404.10102."""
    e, a, b, alpha, beta = {"hoffmann": (1.69, 406.4, 410.7, 0.34, 0.28), "besiroglu": (1.8172, 482.01, 2085.43, 0.3478, 0.3658)}[law]
    return e + a / params**alpha + b / tokens**beta


@pytest.mark.parametrize(("law", "fold", "most"), [("hoffmann", 7.99, 10.4), ("besiroglu", 5.95, 6.8)])
def test_a_hundred_times_the_training(law: str, fold: float, most: float) -> None:
    # Besiroglu's: (1 + 0.3478/0.3658)^(1/0.3478) = 1.95079^2.87522 = 6.83; a hundred times the FLOPs: 5.945 by hand
    assert float(fold_for(LAWS[law], 100)) == pytest.approx(fold, abs=0.006)
    assert max_fold(LAWS[law]) == pytest.approx(most, abs=0.05)


@pytest.mark.parametrize("law", LAWS)
def test_the_optimum_is_the_least_loss_of_its_flops(law: str) -> None:
    params = 70e9
    tokens = float(optimal_tokens(LAWS[law], params))
    best = loss(law, params, tokens)
    for factor in (0.9, 0.99, 1.01, 1.1):  # other shares of the same 6·N·D
        assert loss(law, params * factor, tokens / factor) > best


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("fold", [1.5, 3.0, 6.0])
def test_the_smaller_model_reaches_the_same_loss(law: str, fold: float) -> None:
    params = 70e9
    tokens = float(optimal_tokens(LAWS[law], params))
    longer = tokens * float(token_ratio(LAWS[law], fold))
    assert loss(law, params / fold, longer) == pytest.approx(loss(law, params, tokens), rel=1e-12)
    assert float(train_flop_ratio(LAWS[law], fold)) == pytest.approx(params / fold * longer / (params * tokens), rel=1e-12)


@pytest.mark.parametrize("law", LAWS)
def test_both_ways_round(law: str) -> None:
    ratios = np.array([1.0, 1.001, 2, 100, 1e4, 1e9])
    fold = fold_for(LAWS[law], ratios)
    np.testing.assert_allclose(train_flop_ratio(LAWS[law], fold), ratios, rtol=1e-6)
    assert fold[0] == 1 and (np.diff(fold) > 0).all() and (fold < max_fold(LAWS[law])).all()


def test_no_training_is_enough_beyond_the_limit() -> None:
    for law in LAWS.values():
        assert np.isinf(train_flop_ratio(law, max_fold(law) * 1.0001)) and np.isfinite(train_flop_ratio(law, max_fold(law) * 0.99))


def test_break_even_by_hand() -> None:
    # half the parameters, 1.25 times the training of 1e12 tokens: 3 · 1e12 · 0.25 / 0.5 = 1.5e12 tokens
    assert float(break_even_tokens(1.25, 2, 1e12)) == 1.5e12
    # 6·N·D'/2 = 1.25 · 6·N·D spent, and 2·N·(1 − 1/2) saved per token: at 1.5e12 tokens both models have used the same
    n, d = 1e9, 1e12
    assert 6 * n * d * 1.25 + 2 * n / 2 * 1.5e12 == 6 * n * d + 2 * n * 1.5e12


def test_columns_are_the_contract() -> None:
    lines = run("overtrain --train-flop-ratio 100 -f csv").stdout.splitlines()
    assert lines[0] == "law,params_ratio,train_flop_ratio,inference_flop_ratio,break_even_tokens"
    assert len(lines) == 3 and all(line.endswith(",") for line in lines[1:])  # no parameters, no break-even


def test_the_command_answers_both_laws() -> None:
    first, second = rows("overtrain --train-flop-ratio 100")
    assert (first["law"], second["law"]) == ("hoffmann", "besiroglu")
    assert 1 / float(first["params_ratio"]) == pytest.approx(7.99, abs=0.006) and first["inference_flop_ratio"] == first["params_ratio"]
    assert 1 / float(second["params_ratio"]) == pytest.approx(5.95, abs=0.006)
    notes = run("overtrain").stderr
    assert "training FLOPs: 100 times" in notes and "(10.4 times fewer)" in notes and "(6.83 times fewer)" in notes


def test_training_tokens_default_to_the_optimum() -> None:
    (given,) = rows("overtrain --law besiroglu --params-ratio 0.5 --params 70e9 --pretrain-tokens 1e12")
    (optimum,) = rows("overtrain --law besiroglu --params-ratio 0.5 --params 70e9")
    tokens = float(optimal_tokens(LAWS["besiroglu"], 70e9))
    assert float(optimum["break_even_tokens"]) / float(given["break_even_tokens"]) == pytest.approx(tokens / 1e12)
    assert "7e+10 parameters are compute-optimal with 1.29e+12 training tokens" in run("overtrain --law besiroglu --params 70e9").stderr
    table = rc.overtrain(law="hoffmann", params_ratio=[1, 0.01], params=1e9)
    assert table["break_even_tokens"][0] == 0 and [row["train_flop_ratio"] for row in table.rows()] == [1, None]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("--train-flop-ratio 0.5", "--train-flop-ratio: expected 1 to"),
        ("--params-ratio 8", "--params-ratio: expected 1e-06 to 1, got 8"),
        ("--params-ratio 0", "--params-ratio: expected"),
        ("--train-flop-ratio 10 --params-ratio 0.5", "give one of them; the other follows from it"),
        ("--pretrain-tokens 1e12", "--pretrain-tokens: needs --params"),
        ("--params 1e9,2e9", "params: expected one number, got 2"),
        ("--params -1", "params: expected 1"),
        ("--law hofmann", "--law: invalid choice 'hofmann' (choose from hoffmann, besiroglu); did you mean hoffmann?"),
        ("--train-flop-ratio many", "'many' is not a number"),
        ("llama-3.1-8b", "extra argument"),
    ],
)
def test_bad_input(line: str, complaint: str) -> None:
    text = refused(f"overtrain {line}")
    assert complaint in text and len(text.splitlines()) == 1


def test_ratios_are_shown_as_given() -> None:
    given = [0.41, 0.73, 0.89, 0.91]  # 1/(1/0.41) is another float
    table = rc.overtrain(law="hoffmann", params_ratio=given)
    assert table["params_ratio"].tolist() == given and table["inference_flop_ratio"].tolist() == given
    assert rc.overtrain(law="hoffmann", train_flop_ratio=[49.0, 1.1])["train_flop_ratio"].tolist() == [49.0, 1.1]
