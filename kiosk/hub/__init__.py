"""At the enterprise: verify, keep, show."""
