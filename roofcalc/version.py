"""The version, in its one place: reading it from the installed package would cost 50 ms at every start."""

__version__ = "0.1.0"
