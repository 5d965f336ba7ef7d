"""MESSAGE: to each device of the recipient, now or when it is back (RFC 3428).

    stage store ─► Attempt ─► a Copy for each device that can be reached ─► 2xx, relayed
                      └─ who did not take it: stored in `cluster.messages`, woken ─► 202
    a registration, a retry, a sweep ─► Drain (under a claim) ─► a Copy at a time for each device ─► confirmed

Words: a *copy* is one message on its way to one device; an *attempt* is a message whose sender still waits.
"""
