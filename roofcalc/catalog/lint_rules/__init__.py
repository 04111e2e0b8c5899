"""Rules that catalog entries are checked against."""
