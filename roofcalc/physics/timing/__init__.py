"""Times of a deployment's operations and messages in `typical`: kernel models (`roofcalc.physics.kernels`) and constants of whole runs.

Only `typical` imports this package; the other presets neither need it nor load the constants of kernels.
"""
