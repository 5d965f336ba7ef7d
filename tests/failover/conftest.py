"""Fixtures of the tests in this folder."""

from tests.phones.fixtures import certificates, cluster, node, phone, stores

__all__ = ["certificates", "cluster", "node", "phone", "stores"]
