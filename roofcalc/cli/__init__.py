"""The shell's side of `roofcalc.api`: options, streams, exit codes. Computes nothing."""
