"""A cloud in a box: the vendors' real protocols, in process or on loopback, with play money and faults.

In process, under real or virtual time: a `cloud.Cloud` holds jobs and money, `app.App` answers for it, and
`network.SimulatedNetwork` is the network that httpx then sees. As a server: `python -m vgen.simulator`.
"""
