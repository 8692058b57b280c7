"""Tables for paper and for spreadsheets, made of the store."""
