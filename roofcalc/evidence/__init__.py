"""Measured points beside the calculation: their reader, what each asks of the calculator, comparisons and fits."""
