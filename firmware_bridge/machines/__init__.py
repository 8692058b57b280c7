"""Topic and payload in, what was told out."""
