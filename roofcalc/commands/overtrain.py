"""Over-training: training and inference cost of a smaller model trained longer, to the same loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from roofcalc import units
from roofcalc.commands import defaults
from roofcalc.commands.arguments import Names, Numbers, number_array, single_number
from roofcalc.economics.overtraining import LAWS, Law, break_even_tokens, fold_for, max_fold, optimal_tokens, train_flop_ratio
from roofcalc.errors import RoofcalcError, invalid_choice
from roofcalc.report import columns
from roofcalc.report.table import Block, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    """Training FLOPs against inference cost at equal loss, relative to the compute-optimal model.

    Parameters
    ----------
    law : str or list of str
        "hoffmann" (arXiv 2203.15556) or "besiroglu" (arXiv 2404.10102), default both.
    train_flop_ratio
        Training FLOPs relative to the compute-optimal model, 1 or more (default 100).
    params_ratio
        Instead: parameters relative to the compute-optimal model, 1 or less.
    params
        Parameters of the compute-optimal model; needed for `break_even_tokens`.
    pretrain_tokens
        Training tokens of the compute-optimal model (default: the law's optimum for `params`).

    Returns
    -------
    Table
        One row per law and ratio. Cells are missing where no amount of training reaches the loss with so few parameters.

    Raises
    ------
    RoofcalcError
        An unknown law, both ratios at once, tokens without parameters, or a number outside its range.
    """
    if train_flop_ratio is not None and params_ratio is not None:
        raise RoofcalcError("--train-flop-ratio, --params-ratio: give one of them; the other follows from it")
    if pretrain_tokens is not None and params is None:
        raise RoofcalcError("--pretrain-tokens: needs --params, the parameters of the model trained on them")
    table = Table("overtrain", columns.OVERTRAIN)
    laws = _laws(law)
    table.catalog = {"laws": {each.name: [each.source] for each in laws}}
    if train_flop_ratio is None and params_ratio is None:
        table.notes.append(f"training FLOPs: {units.plain(defaults.TRAIN_FLOP_RATIO)} times the compute-optimal ones (--train-flop-ratio)")
    size = None if params is None else single_number(params, "--params", 1, 1e18)
    given = None if pretrain_tokens is None else single_number(pretrain_tokens, "--pretrain-tokens", 1, 1e21)
    for each in laws:
        most = max_fold(each)
        table.notes.append(f"{each.name}: params_ratio stays above {1 / most:.4g} ({most:.3g} times fewer) at any training budget ({each.source})")
        shrinkage, params_ratios, train_ratios = _ratios(each, train_flop_ratio, params_ratio)
        break_even = np.full(shrinkage.shape, np.nan)
        if size is not None:
            optimum = float(optimal_tokens(each, size))
            table.notes.append(f"{each.name}: {size:.3g} parameters are compute-optimal with {optimum:.3g} training tokens")
            break_even = break_even_tokens(train_ratios, shrinkage, optimum if given is None else given)
        values = {
            "law": each.name,
            "params_ratio": params_ratios,
            "train_flop_ratio": train_ratios,
            "inference_flop_ratio": params_ratios,
            "break_even_tokens": break_even,
        }
        table.blocks.append(Block(int(shrinkage.size), values))
    return table


def _ratios(law: Law, train: Numbers | None, params: Numbers | None) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """How many times fewer parameters, and parameters and training FLOPs relative to the compute-optimal model.

    Each is either as given or computed from the given one.
    """
    if params is None:
        train_ratios = number_array(defaults.TRAIN_FLOP_RATIO if train is None else train, "--train-flop-ratio", 1, MAX_TRAIN_FLOP_RATIO)
        shrinkage = np.asarray(fold_for(law, train_ratios))
        return shrinkage, 1 / shrinkage, train_ratios
    params_ratios = number_array(params, "--params-ratio", LEAST_PARAMS_RATIO, 1)
    shrinkage = 1 / params_ratios
    return shrinkage, params_ratios, np.asarray(train_flop_ratio(law, shrinkage))


def _laws(given: Names | None) -> list[Law]:
    names = list(LAWS) if given is None else given.split(",") if isinstance(given, str) else list(given)
    laws = []
    for name in (str(text).strip().lower() for text in names):
        if name not in LAWS:
            raise invalid_choice("--law", name, LAWS)
        laws.append(LAWS[name])
    return laws
