"""`list` and `show` of the hardware and model catalogs."""
