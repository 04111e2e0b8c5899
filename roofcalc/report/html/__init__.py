"""Self-contained HTML report: no scripts, no external files, all text escaped."""
