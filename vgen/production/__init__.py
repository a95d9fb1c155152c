"""A run at work: orders, polls, downloads and publishes clips under the ledger's policy. Knows nothing of doit."""
