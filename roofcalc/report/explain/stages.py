"""Explains a decode step over all stages: the batch of each rank, the sections of each stage, and their sum."""

from __future__ import annotations

import numpy as np

from roofcalc.deployment.deployment import Deployment
from roofcalc.physics import decode_ops as operations
from roofcalc.physics import roofline
from roofcalc.report.explain.formulas import work
from roofcalc.report.explain.render import Line, Section, line, total
from roofcalc.report.explain.step import StepWorking


def step(deployment: Deployment, seq: float, batch: float) -> tuple[list[Section], float]:
    """The sections that explain one decode step, and its seconds as evaluated from them."""
    layout = deployment.layout
    sections = [shares(deployment, seq, batch)]
    stages = deployment.stages
    paced = layout.pp > 1 and batch >= layout.pp and not deployment.assumptions.is_bound
    seconds: list[float] = []
    for index, stage in enumerate(stages):
        working = StepWorking(deployment, stage, seq, batch)
        own = working.sections()
        if len(stages) > 1 or stage.count > 1:
            own.insert(0, working.heading(index))
        sections += own
        seconds.append(working.seconds)
    if len(stages) == 1 and stages[0].count == 1:
        return sections, seconds[0]
    if paced:
        formula = "T_step, B ≥ p"
        worked = work(roofline.Step.seconds, formula, {"p": layout.pp, "slowest_stage": max(seconds)})
        sections.append(Section("Pipeline", (line(worked, "s"),), "at least as many sequences as stages: the slowest stage is the limit"))
        return sections, worked.value
    terms = [seconds[index] for index, stage in enumerate(stages) for _ in range(stage.count)]
    sections.append(Section("Pipeline", (total("T_step", terms, "s"),), "the sum of the stages"))
    return sections, sum(terms)


def shares(deployment: Deployment, seq: float, batch: float, tokens: float = 1.0) -> Section:
    """How the batch is divided over ranks."""
    layout = deployment.layout
    first = [Line("S", seq, "tokens"), Line("B", batch, "sequences")]
    if deployment.assumptions.is_bound:
        load, sequences = operations.token_load(deployment, np.float64(batch), tokens)
        words = "bound: no rounding up, and the work of a stage is divided evenly over its t·d devices"
        of_stage = (Line("B_r", float(sequences)), Line("T", float(load.tokens)), Line("T_g", float(load.group_tokens)))
        return Section("Batch", (*first, *of_stage), words)
    letters = {"B": batch, "p": layout.pp, "d": layout.dp, "q": tokens}
    for what in ("B_m", "B_r", "T", "T_g"):
        worked = work(operations.token_load, what, letters)
        letters[what] = worked.value
        first.append(line(worked))
    return Section("Batch", tuple(first))
