"""Frozen records that describe models, devices and number formats. No file access, no time computations."""
