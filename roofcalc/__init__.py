"""roofcalc: how many users fit, how fast each is served, and what runs out first.

    import roofcalc as rc
    table = rc.max_batch("llama-3.1-405b", "8xh100-sxm", seq=[775, 7661], interactivity=30, weights="fp8")
    table["max_batch"]

Names are loaded when they are first used, so that importing the package costs nothing.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from roofcalc.version import __version__

if TYPE_CHECKING:
    from roofcalc.errors import RoofcalcError as RoofcalcError
    from roofcalc.options import Options as Options
    from roofcalc.questions.attention import attention as attention
    from roofcalc.questions.check import check as check
    from roofcalc.questions.cost import cost as cost
    from roofcalc.questions.explain import explain as explain
    from roofcalc.questions.fit import fit as fit
    from roofcalc.questions.flops import flops as flops
    from roofcalc.questions.frontier import frontier as frontier
    from roofcalc.questions.interactivity import interactivity as interactivity
    from roofcalc.questions.max_batch import max_batch as max_batch
    from roofcalc.questions.memory import memory as memory
    from roofcalc.questions.ops import ops as ops
    from roofcalc.questions.overtrain import overtrain as overtrain
    from roofcalc.questions.plan import plan as plan
    from roofcalc.questions.prefill import prefill as prefill
    from roofcalc.questions.reliability import reliability as reliability
    from roofcalc.questions.rollouts import rollouts as rollouts
    from roofcalc.questions.validate import validate as validate
    from roofcalc.questions.vote import vote as vote
    from roofcalc.report.plots.kinds import plot as plot
    from roofcalc.report.table import Table as Table

_HOMES = {
    "max_batch": "roofcalc.questions.max_batch",
    "interactivity": "roofcalc.questions.interactivity",
    "memory": "roofcalc.questions.memory",
    "ops": "roofcalc.questions.ops",
    "prefill": "roofcalc.questions.prefill",
    "flops": "roofcalc.questions.flops",
    "attention": "roofcalc.questions.attention",
    "frontier": "roofcalc.questions.frontier",
    "plan": "roofcalc.questions.plan",
    "validate": "roofcalc.questions.validate",
    "fit": "roofcalc.questions.fit",
    "cost": "roofcalc.questions.cost",
    "vote": "roofcalc.questions.vote",
    "rollouts": "roofcalc.questions.rollouts",
    "overtrain": "roofcalc.questions.overtrain",
    "reliability": "roofcalc.questions.reliability",
    "explain": "roofcalc.questions.explain",
    "check": "roofcalc.questions.check",
    "plot": "roofcalc.report.plots.kinds",
    "Options": "roofcalc.request",
    "Table": "roofcalc.report.table",
    "RoofcalcError": "roofcalc.errors",
}
__all__ = ["__version__", *_HOMES]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


class _Package(ModuleType):
    """The package itself: a question keeps its name although a module has it too (`roofcalc.prefill`, `roofcalc.explain`).

    Python binds each submodule to its package when it is first imported, in place of the function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
