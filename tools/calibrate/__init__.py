"""Fits the constants of kernel models on tables of timed kernels, and judges the models by such tables."""
