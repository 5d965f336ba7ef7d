"""The way to Redis for all that is hot: commands of many callers on one RESP3 connection.

`link.py` is one TCP connection (replies in order, pushes to a callback), `connection.py` keeps one alive,
`topology.py` knows which server is the master of a key, `store.py` sends a command there and follows
redirections, `subscriber.py` hears publications, `fence.py` waits for replicas.

Replies are handed over by calling `done(reply)` in the very order in which Redis wrote them: the local
cache is only honest because of that.
"""
