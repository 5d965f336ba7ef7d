"""What the nodes of one Clarion do together; the ground floor, which knows no SIP parser.

Here live the location service (bindings in Redis, read through a cache that Redis keeps honest), the
membership (a leased key of each node in etcd), and the small clients of both stores.

Data flows down: a node calls `LocationService` and `Members`; what has to be told upwards leaves as a
frozen record of `events.py` through the `emit(event)` that the caller handed in.

Words: address of record, binding, member, epoch (one life of a node), lease, snapshot.
"""
