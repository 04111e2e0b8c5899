"""Measured points beside the calculation: reading, comparing, fitting."""
