"""Phones for tests: real programs (linphonec, baresip) and a scripted one of our own, and the servers they
talk to.

`program.py` runs and watches a program. `linphone.py` and `baresip.py` drive the real phones on top of it,
with the same words: registered, call, wait_incoming, answer, decline, cancel, hang_up, message.
`sip_client.py` is a SIP test phone in asyncio that does exactly what a test tells it, also what no phone
does. `clarion.py` starts nodes of this project, `kamailio.py` a reference proxy that proves the drivers
themselves. Everything stays on loopback.
"""
