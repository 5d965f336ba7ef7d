"""The SIP codec: bytes in, messages out, and messages spliced back into bytes.

``codec.parse`` indexes a message once and refuses what RFC 3261 refuses; everything else is read when asked
for, and what the proxy does not change leaves byte for byte as it came. ``codec`` is the compiled ``_codec``
where there is a compiler and its twin ``codec_python`` elsewhere: same interface, same bytes, same errors.
``framing`` cuts a stream into messages; ``uri`` and ``address`` read the values that the stages look into.

Words: *row* (one header field as written, folds included), *value* (one comma-separated element of a row),
*stamp* (received and rport that a server writes into the top Via).
"""
