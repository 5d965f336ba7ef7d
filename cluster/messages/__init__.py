"""Messages that wait: kept in Redis until each device of their recipient has them, or until they expire.

    accepted request ─► store.lua (one slot per address of record) ─► 202
    a device registers anywhere ─► claim.lua (one node at a time, fenced) ─► its copies ─► confirm.lua

Words: *pending message*, *device* (all flows of one phone), a device is *owed* what it has not confirmed, a
*claim* is one node's right, for a limited time, to hand out what one address of record is owed.
"""
