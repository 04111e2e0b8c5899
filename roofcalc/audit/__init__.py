"""What a catalog file may not say: schema, units and plausibility, names, sources, counts. Changes nothing."""
