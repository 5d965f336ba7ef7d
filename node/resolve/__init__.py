"""Where a URI is served (RFC 3263): SIP URI -> destinations in the order they are to be tried.

``locator`` is the door. ``plan`` decides which DNS questions to ask next, ``answers`` keeps what is known,
and ``dns`` asks; only ``dns`` and ``locator`` ever wait.

Words: *destination* (transport, IP address, port), *question* (a name and a record type), *answer*.
"""
