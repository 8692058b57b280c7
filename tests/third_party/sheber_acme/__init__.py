"""Acme's badge reader and machine monitor, for Sheber. Everything here is invented."""
