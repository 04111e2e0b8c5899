"""A model placed on hardware: assumptions, parallelism, efficiencies, drafts."""
