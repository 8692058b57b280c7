"""Bytes in, badges out."""
