"""The demo lab: a whole workshop without hardware."""
