"""The public functions, one module per command, and the modules that they share (request, arguments, workload, defaults, price)."""
