"""`clarion demo`: two nodes, a push service and two phones in one process, and the ladder of what they say.

    play (scenarios) ─► phone, call ─► the nodes of cluster ─► push_service ─► phone
                                   every message that arrives anywhere ─► ladder ─► the terminal

The nodes are those of `clarion serve`, on the embedded stores; only phones and push service are stand-ins.
"""
