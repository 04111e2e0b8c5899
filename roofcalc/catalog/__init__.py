"""Catalog files -> specs: lookup, aliases, overrides, price tables, the Hugging Face importer and lint rules."""
