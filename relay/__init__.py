"""Ground floor: the media relay and the STUN server of a node.

What will live here: RTP and RTCP relayed between two phones that cannot reach each other, transcoding, STUN
answers. Data flows socket to socket on a thread of its own; Python only opens and closes relay sessions and
never sees a packet. This room knows neither SIP nor Redis and imports nothing of ours but itself.

Words: relay session, media line, latch.
"""
