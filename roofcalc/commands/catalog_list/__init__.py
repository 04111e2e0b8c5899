"""`list` and `show` of the two catalogs."""
