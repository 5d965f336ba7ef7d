"""Kamailio as a reference: what passes through it proves that a driver or a test is right.

It is started with the environment variable PHONES_SERVER=kamailio in the place of a node of this project.
"""

import socket
import time
from pathlib import Path

from tests.phones.certificates import Certificates
from tests.phones.program import DOMAIN, LOOPBACK, PATIENCE, Program, free_port, need

CONFIGURATION = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=2
enable_tls=yes
dns=no
rev_dns=no
auto_aliases=no
listen=udp:{host}:{sip}
listen=tcp:{host}:{sip}
listen=tls:{host}:{tls}
alias="{domain}"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "nathelper.so"
loadmodule "tls.so"
loadmodule "kex.so"
loadmodule "corex.so"
modparam("tls", "private_key", "{key}")
modparam("tls", "certificate", "{cert}")
modparam("tls", "tls_method", "TLSv1.2+")
modparam("registrar", "gruu_enabled", 0)
modparam("registrar", "received_avp", "$avp(RECEIVED)")
modparam("nathelper", "received_avp", "$avp(RECEIVED)")
modparam("usrloc", "db_mode", 0)
request_route {{
    if (!mf_process_maxfwd_header("70")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    force_rport();
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (!is_method("ACK")) {{
        if (t_precheck_trans()) {{ t_check_trans(); exit; }}
        t_check_trans();
    }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    remove_hf("Route");
    if (is_method("OPTIONS|PUBLISH")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if ($pr != "udp") fix_nated_register();
        if (!save("location")) sl_reply_error();
        exit;
    }}
    if (!is_method("MESSAGE")) record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"""


class KamailioNode(Program):
    """One Kamailio, registrar in memory, on UDP, TCP and TLS."""

    def __init__(self, folder: Path, certificates: Certificates, name: str = "kamailio") -> None:
        program = need("kamailio", "kamailio kamailio-tls-modules")
        home = folder / name
        home.mkdir()
        self.sip, self.tls = free_port(), free_port()
        self.ca = certificates.ca
        (home / "kamailio.cfg").write_text(
            CONFIGURATION.format(
                host=LOOPBACK,
                sip=self.sip,
                tls=self.tls,
                domain=DOMAIN,
                cert=certificates.cert,
                key=certificates.key,
            )
        )
        argv = [
            program,
            "-DD",
            "-E",
            "-m",
            "64",
            "-M",
            "8",
            "-f",
            str(home / "kamailio.cfg"),
            "-Y",
            str(home),
        ]
        super().__init__(name, argv, home)
        self._wait_ready()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.alive:
            try:
                socket.create_connection((LOOPBACK, self.sip), 0.3).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(self.evidence("does not start"))

    def address(self, transport: str) -> tuple[str, int]:
        return LOOPBACK, self.tls if transport == "tls" else self.sip
