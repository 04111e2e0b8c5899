"""Lint rules for catalog entries."""
