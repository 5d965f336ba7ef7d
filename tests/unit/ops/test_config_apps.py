"""Tables of apps: as careful as sections, with the app's name in every message."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cluster.push.providers.provider import Warned
from cluster.push.settings import ApnsApp
from ops.cli import main
from ops.config.credentials import credential_findings
from ops.config.load import load
from ops.config.options import Option, families, family_options, title
from ops.config.reference import reference
from ops.config.show import show
from ops.config.source import Source
from tests.unit.ops.test_config import problems, read

OPTIONS = [option for family in sorted(families()) for option in family_options(family).values()]
APNS = '[apns."org.example.app"]\n'


def named(option: Option) -> str:
    return f"{option.section}.{option.name}"


@pytest.mark.parametrize("option", OPTIONS, ids=named)
def test_every_option_with_a_wrong_type_says_what_it_expected(tmp_path: Path, option: Option) -> None:
    found = problems(tmp_path, f'[{option.section}."org.example.app"]\n\n{option.name} = 5.5\n')
    table = f'[{option.section}."org.example.app"]'
    line = f"clarion.toml:3: {table} {option.name}: expected {option.expected}, got "
    assert [text for text in found if text.startswith(line)]


@pytest.mark.parametrize("option", OPTIONS, ids=named)
def test_every_option_is_described(option: Option) -> None:
    assert option.description.endswith(".")
    assert option.variable == ""
    assert f"| `{option.name}` |" in reference()


def test_several_apps_are_read_with_their_origins_and_shown_again(tmp_path: Path) -> None:
    for name in ("a.p8", "b.pem", "account.json"):
        (tmp_path / name).write_text("")
    text = (
        f'[apns."org.example.app"]\nkey = "{tmp_path}/a.p8"\nkey_id = "ABCDEFGHIJ"\nteam = "KLMNOPQRST"\n'
        f"[apns.other]\ncert = '{tmp_path}/b.pem'\n"
        f'fcm."1234".service_account = "x"\n[fcm.1234]\nservice_account = "{tmp_path}/account.json"\n'
        '[wns."ms-app://s-1"]\nsecret = "hush"\n'
    ).replace('fcm."1234".service_account = "x"\n', "")
    loaded = read(tmp_path, text)
    assert loaded.settings.apns == {
        "org.example.app": ApnsApp(key=f"{tmp_path}/a.p8", key_id="ABCDEFGHIJ", team="KLMNOPQRST"),
        "other": ApnsApp(cert=f"{tmp_path}/b.pem"),
    }
    assert loaded.settings.providers().wns["ms-app://s-1"].secret == "hush"
    assert loaded.origin('apns."org.example.app"', "key_id").endswith("clarion.toml:3")
    assert loaded.origin('apns."other"', "key_id") == "default"
    shown = show(loaded)
    assert "hush" not in shown
    assert '[apns."org.example.app"]\n' in shown
    assert "clarion.toml:6" in shown
    again = read(tmp_path, shown.replace("(hidden)", "hush"))
    assert again.settings == loaded.settings


def test_unknown_options_name_the_line_and_the_nearest_right_name(tmp_path: Path) -> None:
    assert problems(tmp_path, '[apns.app]\nteam = "KLMNOPQRST"\nkeyid = "x"\ncert = "/etc/hostname"\n') == [
        'clarion.toml:3: [apns."app"] keyid: unknown option; did you mean key_id?'
    ]


def test_a_name_without_quotes_is_told_how_to_write_it(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, '[apns.org.example.app]\ncert = "/etc/hostname"\n')[:1]
    assert found == (
        'clarion.toml:1: [apns.org]: unknown table example; did you mean [apns."org.example.app"]?'
    )


def test_an_option_without_an_app_is_told_where_to_write_it(tmp_path: Path) -> None:
    assert problems(tmp_path, '[wns]\nsecret = "hush"\n') == [
        "clarion.toml:2: [wns] secret: expected a table for each app; "
        'write it below [wns."name-of-the-app"], with the name of your app'
    ]


def test_a_secret_of_a_wrong_type_stays_hidden(tmp_path: Path) -> None:
    found = problems(tmp_path, "[wns.app]\nsecret = 12345\n")
    assert found == ['clarion.toml:2: [wns."app"] secret: expected a text, got a hidden value']


def test_no_environment_variable_reaches_an_app() -> None:
    (found,) = load(None, {"CLARION_APNS_KEY": "x"}).problems
    assert str(found) == (
        "environment CLARION_APNS_KEY: CLARION_APNS_KEY: no such option; apps are set in the file only"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            APNS + 'key = "/etc/hostname"\nteam = "KLMNOPQRST"\n',
            'clarion.toml:1: [apns."org.example.app"] key_id: expected the 10 letters and digits',
        ),
        (
            APNS + 'key = "/etc/hostname"\nkey_id = "ABCDEFGHIJ"\nteam = "short"\n',
            'clarion.toml:4: [apns."org.example.app"] team: expected the 10 letters and digits',
        ),
        (APNS, 'clarion.toml:1: [apns."org.example.app"] key: expected a signing key (.p8) or cert'),
        (
            APNS + 'key = "/etc/hostname"\ncert = "/etc/hostname"\nkey_id = "ABCDEFGHIJ"\n',
            'clarion.toml:3: [apns."org.example.app"] cert: expected either key or cert, got both',
        ),
        (
            APNS + 'cert = "/none.pem"\n',
            'clarion.toml:2: [apns."org.example.app"] cert: expected a file that exists, "/none.pem"',
        ),
        (
            APNS + 'cert = "/etc/hostname"\nserver = "api.push.apple.com"\n',
            'clarion.toml:3: [apns."org.example.app"] server: expected https://host',
        ),
        ("[fcm.1234]\n", 'clarion.toml:1: [fcm."1234"] service_account: expected the file that'),
        ("[wns.app]\n", 'clarion.toml:1: [wns."app"] secret: expected the secret of the app'),
        (
            '[webpush]\nkey = "/etc/hostname"\n',
            "default: [webpush] subject: expected mailto:you@example.org or an https: address, got nothing",
        ),
        (
            '[webhook]\nurl = "https://push.example.org/?t=$token&x=$tokn"\n',
            "clarion.toml:2: [webhook] url: expected a placeholder that exists, got $tokn; there are $app-id",
        ),
        ('[webhook]\nurl = "push.example.org"\n', "clarion.toml:2: [webhook] url: expected http://"),
        (
            '[push]\nproxy = "socks://me:hush@host:x"\n',
            "clarion.toml:2: [push] proxy: expected http://host:port, or http://user:password@host:port, got "
            '"socks://me:(hidden)@host:x"',
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_together_names_the_option_and_the_remedy(
    tmp_path: Path, text: str, expected: str
) -> None:
    found = problems(tmp_path, text)
    assert [line for line in found if line.startswith(expected)], found


class Services:
    """Says that something about the file of an app is wrong, and whether pushes can be sent."""

    def __init__(self, missing: str) -> None:
        self.missing = missing

    def warnings(self, now: float) -> list[Warned]:
        option = '[apns."org.example.app"] cert'
        return [Warned(option, f"{option}: /etc/hostname is no certificate: get one")]

    def supports(self, provider: str, app: str) -> str:
        assert (provider, app) == ("apns", "org.example.app")
        return self.missing


@pytest.mark.parametrize("missing", ["", "no certificate"])
def test_what_is_wrong_inside_a_file_names_the_line_of_its_option(tmp_path: Path, missing: str) -> None:
    loaded = read(tmp_path, '[apns."org.example.app"]\ncert = "/etc/hostname"\n')
    ((problem, fatal),) = credential_findings(loaded, Services(missing), 0.0)
    assert str(problem).replace(f"{tmp_path}/", "") == (
        'clarion.toml:2: [apns."org.example.app"] cert: /etc/hostname is no certificate: get one'
    )
    assert fatal is bool(missing)


def test_config_check_reads_keys(tmp_path: Path) -> None:
    file = tmp_path / "clarion.toml"
    file.write_text('[webpush]\nkey = "/etc/hostname"\nsubject = "mailto:a@example.org"\n')
    result = CliRunner().invoke(main, ["config", "check", str(file)])
    assert result.exit_code == 2
    assert result.output.startswith(f"{file}:2: [webpush] key: ")


def test_names_are_quoted() -> None:
    assert title("fcm", "12-ab_C") == 'fcm."12-ab_C"'
    assert title("apns", "org.example") == 'apns."org.example"'
    assert title("wns", 'a"b') == 'wns."a\\"b"'


def test_lines_of_tables_with_quoted_names_are_found() -> None:
    source = Source(
        '[apns."a.b"]  # a [comment]\nkey = "x"\n[fcm]\n"1" = { server = "y" }\nwns."c d".secret = "z"\n'
    )
    assert source.line("apns") == 1
    assert source.line("apns", "a.b", "key") == 2
    assert source.line("apns", "a.b", "cert") == 1
    assert source.line("fcm", "1", "server") == 4
    assert source.line("fcm", "wns", "c d", "secret") == 5
