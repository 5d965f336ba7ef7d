"""Stand-ins for push services: the vendors' protocols over TLS, judged by the vendors' documents.

`async with ApnsStandIn(folder) as apns` within a test's loop, or `StandInProcess("apns", folder)` as a
process of its own. A request goes link -> faults -> the service's rules -> a record in `received` or
`refused`.
"""
