"""Media of calls: what SDP (RFC 8866) in requests and responses says, and where it is sent instead.

    a request or response with SDP ─► sdp (lines, untouched) ─► which media lines are relayed ─► rewrite

Words: *media line*, *offer* and *answer* (RFC 3264), *session level*: what is before the first media line.
"""
