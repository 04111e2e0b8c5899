"""Cost of tokens and queries, voting, RL rollouts, overtraining and reliability. Pure functions of records and NumPy arrays."""
