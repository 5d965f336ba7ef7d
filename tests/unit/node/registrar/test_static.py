"""The file of static registrations."""

from __future__ import annotations

from node.identity import Identity
from node.registrar.static import StaticFile
from node.transport.flow import Listener
from tests.conversations.playbook import Locations, Loop

TEXT = """
# gateways
pstn@example.org  sip:gw1@192.0.2.1, sip:gw2@192.0.2.2;transport=tcp   # two of them
sip:hotline@example.org <sip:100@192.0.2.3>
nobody@elsewhere.example sip:x@192.0.2.4
lonely@example.org
broken@example.org sip:
"""


def static(tmp_path) -> tuple[StaticFile, Locations]:
    path = tmp_path / "static"
    path.write_text(TEXT)
    identity = Identity("a", ("example.org",), (Listener("udp", "127.0.0.1", 5060),))
    locations = Locations(Loop())
    return StaticFile(str(path), 600, identity, locations), locations


async def test_load(tmp_path):
    file, locations = static(tmp_path)
    assert await file.load() == 3
    uris = [binding.uri for binding in locations.records["pstn@example.org"].bindings]
    assert uris == ["sip:gw1@192.0.2.1", "sip:gw2@192.0.2.2;transport=tcp"]
    assert locations.records["hotline@example.org"].bindings[0].uri == "sip:100@192.0.2.3"


async def test_bad_lines_are_named_and_the_others_used(tmp_path):
    file, _ = static(tmp_path)
    await file.load()
    assert [problem.partition(":")[0] for problem in file.problems] == ["line 5", "line 6", "line 7"]
