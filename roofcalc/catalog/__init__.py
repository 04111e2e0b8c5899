"""Catalog files to specs: lookup, aliases, overrides, prices, the Hugging Face importer and lint rules."""
