"""From a badge tap to a record an enterprise can verify."""
