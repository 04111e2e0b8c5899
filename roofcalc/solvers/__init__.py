"""Searches over the physics: batch, context, layouts, frontier, plan."""
