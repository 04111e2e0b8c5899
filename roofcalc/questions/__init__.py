"""The questions that people ask, one a file, as functions on lists and arrays: every list crosses with every other.

The command line is a thin shell over these. Each returns a `Table`: `table["max_batch"]` is a NumPy array, and every row
carries what it assumed.
"""
