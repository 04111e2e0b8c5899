"""Which options a row must state, and options that a command refuses since they would have no effect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from roofcalc.commands.options import Options
from roofcalc.deployment.assumptions import NAMES as ASSUMPTION_NAMES
from roofcalc.deployment.assumptions import Assumptions
from roofcalc.deployment.parallelism import expert_counts
from roofcalc.errors import RoofcalcError, flag
from roofcalc.report import columns
from roofcalc.report.table import Column
from roofcalc.specs.model import Model

OF_EXPERTS = ("imbalance", "redundant_experts", "dispatch_dtype", "combine_dtype", "routing")  # options of models with experts
DRAFTING = ("draft", "acceptance", "accepted", "drafter", "draft_model", "mtp")  # options that ask for speculative decoding
OFFLOADING = ("offload", "gpu_layers", "host")
WITH_PREFIX = ("max-batch", "interactivity", "memory", "prefill", "frontier", "plan", "cost")  # commands that take --shared-prefix
WITH_HITS = ("cost", "plan", "vote", "prefill")  # commands that prefill prompts without --isl


def stated_assumptions(options: Options, given: tuple[str, ...] = (), effective: Sequence[Assumptions] = ()) -> list[Column]:
    """The optional assumption columns that rows must show.

    These are the assumptions that were given, even as False or 0, and those whose effective value is not the default of the
    roofline preset, for instance because another preset switches them on.

    Parameters
    ----------
    options : Options
        As the command was called.
    given : tuple of str
        Further columns that the command itself was given, such as `chunk`.
    effective : sequence of Assumptions
        The assumptions in force, of each preset; none for commands whose results do not depend on them.
    """
    stated = {*given, *(name for name in ASSUMPTION_NAMES if options.get(name) is not None)}
    stated |= {name for name, value in options.items() if not is_absent(value)}
    if stated & set(DRAFTING):
        stated |= {"draft", "acceptance", "accepted", "drafter"}
    if stated & set(OFFLOADING):
        stated |= {"host"}
    default = Assumptions()
    for one in effective:
        stated |= {"engine", "memory_rules", "timings"} if one.engine is not None else set()
        stated |= {name for name in ASSUMPTION_NAMES if getattr(one, name) != getattr(default, name)}
    return [column for column in columns.WHERE_GIVEN if column.name in stated]


def draft_columns(options: Options) -> tuple[Column, ...]:
    """The column of a drafter's weights where an option names a drafter that has some."""
    named = any(not is_absent(options.get(name)) for name in ("draft_model", "mtp")) or options.get("drafter") == "eagle"
    return (columns.DRAFT_WEIGHTS,) if named else ()


def is_absent(value: Any) -> bool:
    """Whether an option's value means that it was not given: None, a flag that is off, or an empty text or list."""
    return value is None or value is False or (isinstance(value, (str, list, tuple)) and not value)


def check_serving(command: str, options: Options, given: tuple[str, ...]) -> None:
    """Refuses options on the prompts of generations where they would have no effect.

    Raises
    ------
    RoofcalcError
        A shared prefix, a hit rate or arrivals that the command does not take.
    """
    if options.get("arrivals") is not None:
        if "isl" not in given and command != "cost":
            raise RoofcalcError("--arrivals: only for whole generations; give --isl and --osl")
        if options.get("arrivals") == "burst" and options.get("prefill") == "separate":
            raise RoofcalcError("--arrivals: another pool prefills with --prefill separate, and how its prompts queue is not known; leave one out")
    if options.get("shared_prefix") is not None and command not in WITH_PREFIX:
        instead = f"; {command} has --prefix" if command in ("vote", "rollouts") else f"; commands: {', '.join(WITH_PREFIX)}"
        raise RoofcalcError(f"--shared-prefix: not an option of {command}{instead}")
    if options.get("hit_rate") is not None and "isl" not in given and command not in WITH_HITS:
        raise RoofcalcError("--hit-rate: applies to the prefill of prompts; give --isl and --osl, or use `roofcalc prefill`")


def check_step_tokens(options: Options, effective: Sequence[Assumptions]) -> None:
    """Refuses a size of the engine's largest step where nothing depends on it: without an engine, chunks or packed prompts.

    Raises
    ------
    RoofcalcError
        Such a size with presets none of which depends on it.
    """
    if options.get("max_batched_tokens") is None:
        return
    if not any(one.engine not in (None, "none") or one.is_typical or one.prefill == "chunked" or one.arrivals == "burst" for one in effective):
        raise RoofcalcError("--max-batched-tokens: changes nothing without an engine; give --engine, or --prefill chunked with --isl and --osl")


def check_experts(model: Model, options: Options) -> None:
    """Refuses options about experts for a model that has none."""
    default = Assumptions()
    given = [flag(name) for name in OF_EXPERTS if options.get(name) not in (None, getattr(default, name, None))]
    if given and not expert_counts(model):
        raise RoofcalcError(f"{given[0]}: {model.name} has no experts, so that it changes nothing; leave it out, or name models with experts alone")
