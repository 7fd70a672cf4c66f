"""Figures for Prometheus.

A worker serves its own where `metrics.listen` says: `worker` begins it, by name, from
`pushtasks.edges`. What the whole installation has in common, `store` tells, for `pushtasks serve`.

Nothing here imports `prometheus_client` before its time: a worker whose processes share their
figures has to say so first (see `shared`).
"""
