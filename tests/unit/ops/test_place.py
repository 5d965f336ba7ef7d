"""What the settings leave open is filled in."""

import re
from pathlib import Path

import pytest

from ops import place
from ops.config.load import load
from ops.errors import StartError
from ops.place import admin_socket, host_name, settle

JOINED = '{"redis": 21001, "etcd": 21002}'


def test_a_node_is_named_after_its_host() -> None:
    assert re.fullmatch("[A-Za-z0-9-]+", host_name())
    assert settle(load(None, {}), None).node.name == host_name()
    assert settle(load(None, {"CLARION_NODE_NAME": "a"}), None).node.name == "a"


def test_the_admin_socket_is_in_the_data_folder_unless_said() -> None:
    assert admin_socket(load(None, {"CLARION_NODE_DATA": "/d"}).settings) == Path("/d/admin.sock")
    assert admin_socket(load(None, {"CLARION_NODE_ADMIN": "/a"}).settings) == Path("/a")


def test_a_second_node_takes_the_stores_and_the_next_free_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ports.json").write_text(JOINED)
    taken = {"udp:127.0.0.1:5160"}
    monkeypatch.setattr(place, "refusal", lambda text: OSError() if text in taken else None)
    settings = settle(load(None, {"CLARION_NODE_NAME": "b"}), tmp_path)
    assert settings.redis.url == "redis://127.0.0.1:21001/0"
    assert settings.etcd.endpoints == ("http://127.0.0.1:21002",)
    assert settings.node.listen == ("udp:127.0.0.1:5260", "tcp:127.0.0.1:5260", "tls:127.0.0.1:5261")
    assert settings.node.internal == "tcp:127.0.0.1:5270"
    assert settings.node.data == f"{tmp_path}-3"
    assert settings.node.name == "b"


def test_what_the_operator_said_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ports.json").write_text(JOINED)
    monkeypatch.setattr(place, "refusal", lambda _: None)
    said = {
        "CLARION_NODE_LISTEN": "udp:127.0.0.1:6060",
        "CLARION_NODE_INTERNAL": "tcp:127.0.0.1:6070",
        "CLARION_NODE_DATA": "/d",
    }
    node = settle(load(None, said), tmp_path).node
    assert (node.listen, node.internal, node.data) == (("udp:127.0.0.1:6060",), "tcp:127.0.0.1:6070", "/d")
    assert node.name == f"{host_name()}-2"


def test_there_must_be_a_node_to_join(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"--join: .* holds no embedded stores; .*clarion serve"):
        settle(load(None, {}), tmp_path)
