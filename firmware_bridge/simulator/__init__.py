"""A workshop without hardware."""
