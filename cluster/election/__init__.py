"""Who does what of the work that only one node may do at a time: elections in etcd.

    candidates ─► share (who should have which partition) ─► a key under a lease in etcd ─► a Term ─► the work

Words: a *duty* is such work (push dispatch, garbage collection), its *partitions* can be led by different
nodes; a *term* is one node's time as leader of one partition; its *fence* grows with every term and guards
each write.
"""
