"""Published measurements: reading them, comparing them with predictions, fitting efficiencies."""
