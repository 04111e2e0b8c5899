"""Charts of tables: one file per command, pure functions of a table. Independent of commands and physics.

matplotlib is the extra `roofcalc[plot]`; only the modules behind `roofcalc.report.plots.kinds` import it.
"""
