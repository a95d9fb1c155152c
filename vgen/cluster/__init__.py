"""Clips' bytes on many machines, by a Dask cluster; money stays where vgen runs (decision 0019).

The process that runs vgen (the head) starts a child without keys, which alone speaks with Dask. Workers get signed
media addresses and paths, and answer with facts, which the head checks as it would a stranger's.
"""
