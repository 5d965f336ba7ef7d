"""A small asyncio client of etcd's own HTTP/JSON gateway.

`gateway.py` sends requests to whichever endpoint answers, `watch.py` follows the keys under a prefix without
a gap, `lease.py` keeps a lease alive and says when it can no longer be sure of it.
"""
