"""The shell's side of `roofcalc.questions`: options, streams, exit codes. Computes nothing."""
