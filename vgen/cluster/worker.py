"""The one function that a worker of the cluster is asked to call. Light: the child imports it only to name it."""

import json

from vgen.cluster.order import Order


def act(order: Order) -> str:
    """Do the job, and tell what came of it in JSON. Never raises: Dask would log and send the whole of it."""
    try:
        from vgen.cluster import bench

        return json.dumps(bench.done(order))
    except Exception as exc:  # noqa: BLE001 - a bug here is told by its name, without what it says
        return json.dumps({"crashed": type(exc).__name__[:80]})
