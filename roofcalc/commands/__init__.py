"""The public functions, one module per command, and what they share."""
