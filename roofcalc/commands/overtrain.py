"""What a smaller model, trained longer to the same loss, costs and saves."""

from __future__ import annotations

import numpy as np

from roofcalc import units
from roofcalc.commands.arguments import Names, Numbers, positive, single
from roofcalc.economics.overtraining import LAWS, Law, break_even_tokens, fold_for, max_fold, optimal_tokens, train_flop_ratio
from roofcalc.errors import RoofcalcError, did_you_mean
from roofcalc.report import columns
from roofcalc.report.table import Block, Table

DEFAULT_TRAIN_FLOP_RATIO = 100.0
MAX_TRAIN_FLOP_RATIO = 1e12
LEAST_PARAMS_RATIO = 1e-6


def overtrain(
    *,
    law: Names | None = None,
    train_flop_ratio: Numbers | None = None,
    params_ratio: Numbers | None = None,
    params: Numbers | None = None,
    pretrain_tokens: Numbers | None = None,
) -> Table:
    """Training FLOPs against inference cost at equal loss, beside the compute-optimal model.

    Parameters
    ----------
    law : str or list of str
        "hoffmann" (arXiv 2203.15556) or "besiroglu" (arXiv 2404.10102), default both.
    train_flop_ratio
        Training FLOPs over the compute-optimal ones, 1 or more (default 100).
    params_ratio
        Instead: parameters over the compute-optimal ones, 1 or less.
    params
        Parameters of the compute-optimal model; gives `break_even_tokens`.
    pretrain_tokens
        Its training tokens (default: the law's own optimum for `params`).

    Returns
    -------
    Table
        One row per law and ratio. Where no training reaches the loss with so few parameters, figures are missing.

    Raises
    ------
    RoofcalcError
        An unknown law, both ratios at once, tokens without parameters, or a number outside its range.
    """
    if train_flop_ratio is not None and params_ratio is not None:
        raise RoofcalcError("--train-flop-ratio and --params-ratio: give one, the other follows")
    if pretrain_tokens is not None and params is None:
        raise RoofcalcError("--pretrain-tokens: the tokens of what model? Give its --params too")
    table = Table("overtrain", columns.OVERTRAIN)
    laws = _laws(law)
    table.catalog = {"laws": {one.name: [one.source] for one in laws}}
    if train_flop_ratio is None and params_ratio is None:
        table.notes.append(f"training FLOPs: {units.plain(DEFAULT_TRAIN_FLOP_RATIO)} times the compute-optimal ones (--train-flop-ratio)")
    size = None if params is None else single(params, "params", 1, 1e18)
    given = None if pretrain_tokens is None else single(pretrain_tokens, "pretrain_tokens", 1, 1e21)
    for one in laws:
        least = 1 / max_fold(one)
        table.notes.append(f"{one.name}: params_ratio stays above {least:.4g} ({max_fold(one):.3g} times fewer), whatever is spent ({one.source})")
        ratios, fold = _ratios(one, train_flop_ratio, params_ratio)
        paid = np.full(fold.shape, np.nan)
        if size is not None:
            optimum = float(optimal_tokens(one, size))
            trained = optimum if given is None else given
            table.notes.append(f"{one.name}: {size:.3g} parameters are compute-optimal with {optimum:.3g} training tokens")
            paid = break_even_tokens(ratios, fold, trained)
        values = {"law": one.name, "params_ratio": 1 / fold, "train_flop_ratio": ratios, "inference_flop_ratio": 1 / fold, "break_even_tokens": paid}
        table.blocks.append(Block(int(fold.size), values))
    return table


def _ratios(law: Law, train: Numbers | None, params: Numbers | None) -> tuple[np.ndarray, np.ndarray]:
    """Training FLOPs over the optimum's, and how many times fewer parameters."""
    if params is None:
        ratios = positive(DEFAULT_TRAIN_FLOP_RATIO if train is None else train, "train_flop_ratio", 1, MAX_TRAIN_FLOP_RATIO)
        return ratios, fold_for(law, ratios)
    fold = 1 / positive(params, "params_ratio", LEAST_PARAMS_RATIO, 1)
    return train_flop_ratio(law, fold), fold


def _laws(given: Names | None) -> list[Law]:
    names = list(LAWS) if given is None else given.split(",") if isinstance(given, str) else list(given)
    found = []
    for name in (str(one).strip().lower() for one in names):
        if name not in LAWS:
            raise RoofcalcError(f"law: {name!r} is none of {', '.join(LAWS)}{did_you_mean(name, tuple(LAWS))}")
        found.append(LAWS[name])
    return found
