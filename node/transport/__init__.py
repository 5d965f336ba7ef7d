"""UDP, TCP and TLS below SIP: sockets -> (flow, one SIP message), and the bytes of answers back.

``transports`` opens the listeners and finds flows; ``udp`` reads and writes datagrams in batches;
``acceptor``, ``poller``, ``connection``, ``stream`` and ``tls`` are connections. Each message goes to the one
``Receiver``; what it sends is collected in the ``outbox`` and written once when everything that was read has
been handed over.

Words: *listener* (an address of ours), *flow* (RFC 5626: a remote address at a UDP listener, or one
connection), *flow token* (a signed name of a flow), *serial* (number of a connection in this node's life).
"""
