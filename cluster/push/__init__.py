"""Push notifications: queued in Redis by any node, sent by the dispatcher of their partition.

    service.send ─► queue (one Redis Stream a partition) ─► dispatcher ─► lane ─► http/engine ─► provider
                        ▲ watch: what nobody took in time is seized by the node that queued it

`push.py` is what is to be sent, `providers/` say how a push looks at one service and what its answer means,
`cluster.election` spreads the partitions over the nodes. Words: push, provider, lane (provider and app),
partition, dispatcher, fence (the etcd revision of a dispatcher's term), claim, seize, confirm.
"""
