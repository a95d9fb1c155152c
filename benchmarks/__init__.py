"""vgen measured against its peers and against limits: `python -m benchmarks`."""
