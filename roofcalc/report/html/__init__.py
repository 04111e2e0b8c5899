"""A report as one self-contained HTML page: no scripts, no outside files, every text escaped."""
