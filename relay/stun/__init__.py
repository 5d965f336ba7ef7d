"""STUN (RFC 8489): a server that tells who asks the address it is seen at. Binding only, no TURN.

`message` is the codec, `integrity` its keyed checksums, `answer` decides (sans-IO), `limit` bounds what one
source may ask, `datagrams` and `streams` are the sockets, `server` opens them. Bytes and the address
that they came from go in; bytes and, for behaviour discovery (RFC 5780), the socket they leave from come out.
"""
