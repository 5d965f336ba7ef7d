"""Our top-level packages have plain names; no dependency may bring one of the same name."""

from importlib import metadata

OURS = {"cluster", "node", "relay", "ops"}


def test_no_installed_dependency_provides_a_package_of_ours() -> None:
    providers = metadata.packages_distributions()
    clashes = {
        name: [distribution for distribution in providers.get(name, []) if distribution != "clarion"]
        for name in OURS
    }
    assert {name: found for name, found in clashes.items() if found} == {}


def test_our_packages_come_from_this_checkout() -> None:
    import cluster
    import node
    import ops
    import relay

    roots = {str(package.__file__).rsplit("/", 2)[0] for package in (cluster, node, ops, relay)}
    assert len(roots) == 1
