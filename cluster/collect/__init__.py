"""Storage garbage collection: one elected node walks through all keys in small steps.

    etcd elects ─► Collector ─► SCAN, a step at a time ─► expired bindings and messages leave, with an event

Words: a *sweep* is one walk through all keys, a *step* is what is done between two pauses.
"""
