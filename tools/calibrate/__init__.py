"""Maintainers' calibration of `typical`; not in the wheel."""
