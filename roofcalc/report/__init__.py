"""Results as tables with declared columns, and their presentation. Independent of commands and physics."""
