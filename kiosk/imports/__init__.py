"""Spreadsheets that people hand in: read, checked, and every problem in them told at once."""
