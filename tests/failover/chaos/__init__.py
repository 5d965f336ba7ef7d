"""Chaos: messages are sent to phones that come and go while nodes and stores are killed, stopped and cut off.

    course ─► world (stores, crossings, nodes) ─► phones, senders, faults ─► chronicle ─► ledger ─► report

Words: a *crossing* is a TCP port in front of a store that can be cut for one node alone; the *chronicle* is
all that phones, senders and faults saw, with the time of each; the *ledger* judges it afterwards and knows
nothing else. Run it: `python -m tests.failover.chaos --messages 5000 --recipients 200`.
"""
