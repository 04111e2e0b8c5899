"""Kernel times with shape: floors, tiles, waves and fractions of the two roofs, fitted on timed kernels.

The functions are pure NumPy and broadcast; they know nothing of models, layouts or engines. `profile` reads the fitted constants.
"""
