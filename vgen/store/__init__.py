"""Everything that survives a crash: the ledger, takes, files that appear whole, the run lock. Knows no provider."""
