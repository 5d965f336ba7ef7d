"""The data folder belongs to one process and remembers its ports."""

import socket
from pathlib import Path

import pytest

from ops.data_folder import DataFolder, read_ports
from ops.errors import StartError


def test_the_second_node_in_a_folder_is_told_so(tmp_path: Path) -> None:
    first = DataFolder(tmp_path / "data")
    with pytest.raises(StartError, match=r"in use by the node with process id \d+; .*--join"):
        DataFolder(tmp_path / "data")
    first.release()
    DataFolder(tmp_path / "data").release()


def test_a_folder_that_cannot_be_made_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"\[node\] data: .* cannot be written"):
        DataFolder(tmp_path / "file" / "data")


def test_ports_are_remembered_while_they_are_free(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    port = folder.port("redis")
    assert folder.port("etcd") != port
    assert folder.port("redis") == port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        assert folder.port("redis") != port
    folder.release()
    assert read_ports(tmp_path).keys() == {"redis", "etcd"}


def test_a_broken_memory_of_ports_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text("{")
    assert read_ports(tmp_path) == {}
