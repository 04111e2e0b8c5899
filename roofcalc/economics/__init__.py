"""What answers cost: money, votes, training data, training itself, errors. Pure functions of records and NumPy arrays."""
