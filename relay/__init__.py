"""Ground floor: the media relay and the STUN server of a node.

RTP and RTCP between phones that cannot reach each other, and STUN answers. Data flows socket to socket on a
thread of its own (`forward`); Python opens and closes relay sessions (`session`) and never sees a packet.

`latch` says whom a port listens to, `packet` what a datagram is, `stream`, `rtcp` and `quality` how good it
was, `ports` and `sockets` where media is received, `flows` what the forwarder knows of each socket. The .pxd
and .pyx files say the same in C as the .py file of that name, and are tested by the same vectors.

This room knows neither SIP nor Redis and imports nothing of ours but itself.
Words: relay session, media line, side, flow, latch, source, hint.
"""
