"""Waking phones (RFC 8599): from a request that reaches nobody to one that rings.

    stages/wake ─► decision (per binding: ring, wake, or both, and why) ─► Held (the request's wait)
                        notification (what the push says)  ─► Pushes (cluster.push.service)
    a phone registers at any node ─► Held hears of it ─► late branch of the response context

`address` is what a binding says about its push service, `purr` names a binding within a dialog,
`refresh` wakes an app so that it registers again in time.
"""
