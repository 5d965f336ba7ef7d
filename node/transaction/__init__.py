"""Transactions (RFC 3261 section 17, with RFC 6026 and RFC 4320).

A transaction is a row in the `TransactionTable`, never a Task. Requests and
responses come in with `now`; bytes leave through the `Flow` they belong to, and
what a retransmission asks for is answered here without anyone above noticing.
Deadlines stand in `Timers`: one FIFO per constant delay, since SIP's delays are
few constants. The core reads no clock and opens no socket.

Words: server transaction (towards who asked), client transaction (towards who is
asked), branch (the identifier of a client transaction), timers by RFC letter.
"""
