"""Formulas with a request's numbers filled in."""
