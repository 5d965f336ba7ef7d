"""Forking (RFC 3261 section 16): one request, a target set, one best response.

The location stage hands a target set, grouped by q, to a `ResponseContext`. It opens
a `Branch` (one client transaction) per target, the groups one after the other, takes
every response and decides in `best` what the caller hears. Decisions are plain
functions of statuses; bytes leave through flows; time comes in as `now`.

Words: target, target set, group (equal q), branch, response context, best response.
"""
