"""Hugging Face config.json -> plain catalog values of a model, one module per group of architectures."""
