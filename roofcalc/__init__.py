"""roofcalc: how many users fit, how fast each is served, and what runs out first."""

__version__ = "0.1.0"
