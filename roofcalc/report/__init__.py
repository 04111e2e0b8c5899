"""Results as rows with declared columns, and the writers that print them. Knows nothing of commands or physics."""
