"""Wires tried out without a kiosk: who speaks there, in which protocol or dialect, and how often."""
