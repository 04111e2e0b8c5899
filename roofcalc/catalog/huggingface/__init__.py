"""Hugging Face config.json to a model's record, one module per kind of block."""
