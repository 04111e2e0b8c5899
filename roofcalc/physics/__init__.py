"""The formulas, in the order of their use: spans, operations, memory, network, roofline, prefill, generation."""
