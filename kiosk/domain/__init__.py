"""Pure: same entries, same hours, on any machine, for ever. Standard library and `lab_config.model` only."""
