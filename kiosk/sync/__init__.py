"""Empties the outbox: one enterprise at a time, backing off, until receipted."""
