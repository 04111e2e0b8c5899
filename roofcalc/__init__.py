"""roofcalc: a roofline calculator for LLM inference.

    import roofcalc as rc
    table = rc.max_batch("llama-3.1-405b", "8xh100-sxm", seq=[775, 7661], interactivity=30, weights="fp8")
    table["max_batch"]

Public names are loaded on first use, so that importing the package is cheap.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"  # the only place; reading the metadata of the installed package would cost 50 ms at every start

if TYPE_CHECKING:
    from roofcalc.commands.attention import attention as attention
    from roofcalc.commands.check import check as check
    from roofcalc.commands.compare import compare as compare
    from roofcalc.commands.cost import cost as cost
    from roofcalc.commands.explain import explain as explain
    from roofcalc.commands.fit import fit as fit
    from roofcalc.commands.flops import flops as flops
    from roofcalc.commands.from_command import from_command as from_command
    from roofcalc.commands.frontier import frontier as frontier
    from roofcalc.commands.interactivity import interactivity as interactivity
    from roofcalc.commands.max_batch import max_batch as max_batch
    from roofcalc.commands.memory import memory as memory
    from roofcalc.commands.ops import ops as ops
    from roofcalc.commands.options import Options as Options
    from roofcalc.commands.overtrain import overtrain as overtrain
    from roofcalc.commands.plan import plan as plan
    from roofcalc.commands.prefill import prefill as prefill
    from roofcalc.commands.reliability import reliability as reliability
    from roofcalc.commands.rollouts import rollouts as rollouts
    from roofcalc.commands.validate import validate as validate
    from roofcalc.commands.vote import vote as vote
    from roofcalc.errors import RoofcalcError as RoofcalcError
    from roofcalc.report.plots.kinds import plot as plot
    from roofcalc.report.table import Table as Table

_PUBLIC = {
    "max_batch": "roofcalc.commands.max_batch",
    "interactivity": "roofcalc.commands.interactivity",
    "memory": "roofcalc.commands.memory",
    "ops": "roofcalc.commands.ops",
    "prefill": "roofcalc.commands.prefill",
    "flops": "roofcalc.commands.flops",
    "attention": "roofcalc.commands.attention",
    "frontier": "roofcalc.commands.frontier",
    "plan": "roofcalc.commands.plan",
    "compare": "roofcalc.commands.compare",
    "from_command": "roofcalc.commands.from_command",
    "validate": "roofcalc.commands.validate",
    "fit": "roofcalc.commands.fit",
    "cost": "roofcalc.commands.cost",
    "vote": "roofcalc.commands.vote",
    "rollouts": "roofcalc.commands.rollouts",
    "overtrain": "roofcalc.commands.overtrain",
    "reliability": "roofcalc.commands.reliability",
    "explain": "roofcalc.commands.explain",
    "check": "roofcalc.commands.check",
    "plot": "roofcalc.report.plots.kinds",
    "Options": "roofcalc.commands.options",
    "Table": "roofcalc.report.table",
    "RoofcalcError": "roofcalc.errors",
}
__all__ = ["__version__", *_PUBLIC]


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PUBLIC[name]), name)
