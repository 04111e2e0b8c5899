"""A Hugging Face config.json -> the plain values of a catalog file. Knows field names; not what a figure means."""
