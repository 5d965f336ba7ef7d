"""Configuration that teaches: each mistake names file, line, option, what was expected and the right name."""

from pathlib import Path

import pytest

from ops.config.load import Loaded, load
from ops.config.options import options
from ops.config.show import show
from ops.config.source import Source
from ops.settings import Settings


def problems(tmp_path: Path, text: str, **environment: str) -> list[str]:
    file = tmp_path / "clarion.toml"
    file.write_text(text)
    return [str(problem).replace(f"{tmp_path}/", "") for problem in load(file, environment).problems]


def read(tmp_path: Path, text: str, **environment: str) -> Loaded:
    file = tmp_path / "clarion.toml"
    file.write_text(text)
    loaded = load(file, environment)
    assert loaded.problems == []
    return loaded


def test_no_file_at_all_gives_the_defaults() -> None:
    loaded = load(None, {})
    assert loaded.settings == Settings()
    assert loaded.problems == []
    assert loaded.origin("node", "listen") == "default"


def test_an_unknown_option_names_its_line_and_the_nearest_right_name(tmp_path: Path) -> None:
    text = "[registrar]\n# shorter\nmin_expire = 30\n"
    assert problems(tmp_path, text) == [
        "clarion.toml:3: [registrar] min_expire: unknown option; did you mean min_expires?"
    ]


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = '[nodes]\nname = "a"\n\n[registrar]\nmax_contacts = "many"\n\n[log]\nlevel = "warn"\n'
    text += '[redis]\nurl = "http://x"\n'
    found = problems(tmp_path, text, CLARION_LIMITS_BRANCHES="lots")
    assert found == [
        "clarion.toml:1: [nodes]: unknown section; did you mean node?",
        'clarion.toml:5: [registrar] max_contacts: expected a whole number from 1 to 1000, got "many"',
        'clarion.toml:8: [log] level: expected "debug" or "error" or "info" or "warning", got "warn"; '
        "did you mean warning?",
        "clarion.toml:10: [redis] url: expected redis://, rediss://, sentinel:// or cluster:// with a host, "
        'or "embedded"',
        "environment CLARION_LIMITS_BRANCHES: [limits] branches: expected a whole number from 1 to 1000, "
        'got "lots"',
    ]


def test_an_option_outside_of_its_section_is_told_where_it_belongs(tmp_path: Path) -> None:
    assert problems(tmp_path, "max_contacts = 3\n") == [
        "clarion.toml:1: max_contacts: unknown section; it belongs into [registrar]"
    ]


def test_what_is_not_toml_names_the_line(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '[node]\nname = "a\n')
    assert found.startswith("clarion.toml:2: file: is not TOML: ")


def test_a_file_that_is_missing_or_not_text_is_one_problem(tmp_path: Path) -> None:
    (missing,) = load(tmp_path / "none.toml", {}).problems
    assert "cannot be read: No such file" in str(missing)
    (tmp_path / "latin.toml").write_bytes(b"[node]\nname = '\xe9'\n")
    (latin,) = load(tmp_path / "latin.toml", {}).problems
    assert "expected UTF-8 text" in str(latin)


@pytest.mark.parametrize("option", options().values(), ids=lambda option: f"{option.section}.{option.name}")
def test_every_option_with_a_wrong_type_says_what_it_expected(tmp_path: Path, option) -> None:  # type: ignore[no-untyped-def]
    (found,) = problems(tmp_path, f"[{option.section}]\n\n{option.name} = {{ wrong = 1 }}\n")
    assert found.startswith(
        f"clarion.toml:3: [{option.section}] {option.name}: expected {option.expected}, got "
    )


@pytest.mark.parametrize("option", options().values(), ids=lambda option: f"{option.section}.{option.name}")
def test_every_option_is_described_and_has_a_variable(option) -> None:  # type: ignore[no-untyped-def]
    assert option.description.endswith(".")
    assert option.variable == f"CLARION_{option.section}_{option.name}".upper()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        '[node]\nname = "file"\n[registrar]\nmin_expires = 10\n',
        CLARION_NODE_NAME="variable",
        CLARION_NODE_LISTEN="udp:127.0.0.1:5060,tcp:[::1]:5060",
        CLARION_ETCD_ENDPOINTS="http://127.0.0.1:2379",
        CLARION_REGISTRAR_GRUU="false",
        CLARION_ETCD_TIMEOUT="1",
        CLARION_REDIS_PASSWORD="123",
    )
    assert loaded.settings.node.name == "variable"
    assert loaded.settings.node.listen == ("udp:127.0.0.1:5060", "tcp:[::1]:5060")
    assert loaded.settings.etcd.endpoints == ("http://127.0.0.1:2379",)
    assert loaded.settings.etcd.timeout == 1.0
    assert loaded.settings.registrar.gruu is False
    assert loaded.settings.redis.password == "123"
    assert loaded.origin("node", "name") == "environment CLARION_NODE_NAME"
    assert loaded.origin("registrar", "min_expires").endswith("clarion.toml:4")


def test_a_variable_repairs_a_wrong_line_of_the_file_only_in_value(tmp_path: Path) -> None:
    assert problems(tmp_path, "[etcd]\nendpoints = 5\n", CLARION_ETCD_ENDPOINTS="embedded") == [
        'clarion.toml:2: [etcd] endpoints: expected a list of texts or "embedded", got 5'
    ]


def test_a_mistyped_variable_of_a_known_section_is_named() -> None:
    (found,) = load(
        None, {"CLARION_NODE_NAMES": "x", "CLARION_PURE_PYTHON": "1", "CLARION_OTHER": "1"}
    ).problems
    assert str(found) == (
        "environment CLARION_NODE_NAMES: CLARION_NODE_NAMES: no such option; did you mean CLARION_NODE_NAME?"
    )


def test_options_that_do_not_fit_together_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, '[registrar]\nmin_expires = 700\n[tls]\nkey = "/none.pem"\n')
    assert found == [
        "default: [tls] cert: expected the certificate that belongs to key",
        "default: [registrar] default_expires: expected a value between min_expires and max_expires, "
        "700 to 86400",
        'clarion.toml:4: [tls] key: expected a file that exists, "/none.pem" does not',
    ]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("listen", '["sctp:127.0.0.1:5060"]', "expected an address like udp:192.0.2.1:5060; "),
        ("listen", '["udp:127.0.0.1:1", "udp:127.0.0.1:1"]', "expected each address once, "),
        ("internal", '"udp:127.0.0.1:1"', "expected tcp: before an address, "),
        ("internal", '"tcp:127.0.0.1:5060"', "expected an address of its own, "),
        ("internal", '"tcp:nowhere:5060"', "expected an address like tcp:192.0.2.1:5070; "),
        ("advertise", '"host:port"', "expected host or host:port; "),
        ("domains", '["a@b"]', 'expected host names, addresses or "*", '),
    ],
)
def test_addresses_are_checked(tmp_path: Path, option: str, value: str, expected: str) -> None:
    (found,) = problems(tmp_path, f"[node]\n{option} = {value}\n")
    assert found.startswith(f"clarion.toml:2: [node] {option}: {expected}")


def test_show_names_the_origin_and_hides_passwords(tmp_path: Path) -> None:
    loaded = read(tmp_path, '[redis]\nurl = "redis://me:secret@127.0.0.1/0"\npassword = "secret"\n')
    text = show(loaded)
    assert "secret" not in text
    assert 'url = "redis://me:(hidden)@127.0.0.1/0"' in text
    assert "clarion.toml:2" in text
    assert "lease_ttl = 5 " in text


def test_show_is_a_configuration_again(tmp_path: Path) -> None:
    assert read(tmp_path, show(load(None, {}))).settings == Settings()


def test_lines_are_found_past_strings_arrays_comments_and_quotes() -> None:
    text = '''
node.name = "dotted"       # 2
[redis]                    # 3
url = """
timeout = 1
"""
password = "a # b ["
"username" = 'x'           # 8
[node]                     # 9
listen = [                 # 10
  "udp:127.0.0.1:1", # ]
  "domains = 5",
]
domains = ["a"]            # 14
'''
    source = Source(text)
    assert source.line("node", "name") == 2
    assert source.line("redis", "timeout") == 3  # not there: its section
    assert source.line("redis", "username") == 8
    assert source.line("node", "listen") == 10
    assert source.line("node", "domains") == 14
    assert source.line("tls", "cert") == 1
