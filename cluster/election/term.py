"""One node's time as leader of one partition."""

from __future__ import annotations

from cluster.etcd.lease import Lease


class Term:
    """From the election to the end of the lease, or to the resignation. `fence` grows with every term."""

    __slots__ = ("_lease", "ended", "fence", "partition", "revision")

    def __init__(self, partition: int, fence: int, revision: int, lease: Lease) -> None:
        """`revision`: at which the key of the partition was written."""
        self.partition = partition
        self.fence = fence
        self.revision = revision
        self.ended = False
        self._lease = lease

    @property
    def sure(self) -> bool:
        """Whether nobody else can have been elected yet."""
        return not self.ended and self._lease.sure
