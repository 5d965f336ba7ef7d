"""One SIP node: bytes -> message -> transaction -> stages -> fork -> bytes.

Bytes arrive at ``transport``, become messages in ``sip``, meet their transaction in ``transaction``; only new
requests go on to the stages listed in ``route``, and ``fork`` sends them to their targets. Answers take the
same way back.

Words: *flow* (where a message came from and where answers go), *request* and *response*, *branch* (one try of
a fork), *binding* (one registered device), *stage* (one step that may look at, change, answer or take a
request).

``sip``, ``transaction`` and the decisions of ``fork`` are sans-IO: no clock, no socket, no log. The node uses
``cluster`` and ``relay``; it never imports ``ops``.
"""
