"""The database: one file, one writing process; the ledger, the people beside it, and what is folded from both."""
