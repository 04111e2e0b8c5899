"""Charts of the questions' tables: one small file per kind, pure functions of a table; knows nothing of commands or physics.

matplotlib is the extra `roofcalc[plot]`; only the modules behind `roofcalc.report.plots.kinds` import it.
"""
