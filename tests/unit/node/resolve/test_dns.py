"""The DNS client against a real server on loopback."""

import asyncio
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest

from node.resolve.dns import Hosts, SystemDns
from node.resolve.locator import Destination, LocateError, Locator
from node.resolve.question import DnsError, Naptr, Question, Srv

ZONE = """
example.test. 60 IN NAPTR 10 50 "s" "SIP+D2T" "" _sip._tcp.Example.test.
_sip._tcp.example.test. 30 IN SRV 1 5 5070 a.example.test.
_sip._tcp.example.test. 40 IN SRV 2 5 5071 b.example.test.
a.example.test. 60 IN A 192.0.2.1
a.example.test. 60 IN AAAA 2001:db8::1
b.example.test. 60 IN CNAME c.example.test.
c.example.test. 20 IN A 192.0.2.3
""".strip()


class Server(asyncio.DatagramProtocol):
    """Answers from ZONE; NXDOMAIN else; silent for silent.test, SERVFAIL for broken.test."""

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address) -> None:
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        question = query.question[0]
        name = question.name.to_text().lower()
        if name == "silent.test.":
            return
        if name == "broken.test.":
            answer.set_rcode(dns.rcode.SERVFAIL)
        wanted = [name]
        rows = [row.split(" ", 4) for row in ZONE.splitlines()]
        for owner, ttl, _, kind, data_text in rows:
            if owner in wanted and kind in (dns.rdatatype.to_text(question.rdtype), "CNAME"):
                answer.answer.append(dns.rrset.from_text(owner, int(ttl), "IN", kind, data_text))
                if kind == "CNAME":
                    wanted.append(data_text)
        if not answer.answer and answer.rcode() == dns.rcode.NOERROR and name not in [row[0] for row in rows]:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(answer.to_wire(), address)


@pytest.fixture
async def system_dns(tmp_path: Path):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 Box box.local # comment\n::1 box\nnonsense line\n")
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, ("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    client = SystemDns([f"127.0.0.1:{port}"], timeout=0.3, hosts=str(hosts))
    yield client
    await client.close()
    transport.close()


async def test_records(system_dns: SystemDns) -> None:
    naptr = await system_dns.ask(Question("example.test", "NAPTR"))
    assert naptr.rules == (Naptr(10, 50, "s", "SIP+D2T", "_sip._tcp.example.test"),)
    srv = await system_dns.ask(Question("_sip._tcp.example.test", "SRV"))
    assert set(srv.services) == {Srv(1, 5, 5070, "a.example.test"), Srv(2, 5, 5071, "b.example.test")}
    assert srv.ttl == 30
    assert (await system_dns.ask(Question("a.example.test", "AAAA"))).addresses == ("2001:db8::1",)
    assert (await system_dns.ask(Question("b.example.test", "A"))).addresses == ("192.0.2.3",)


async def test_what_does_not_exist(system_dns: SystemDns) -> None:
    assert (await system_dns.ask(Question("nobody.test", "A"))).addresses == ()
    assert (await system_dns.ask(Question("a.example.test", "SRV"))).services == ()
    assert (await system_dns.ask(Question("a" * 80 + ".test", "A"))).addresses == ()


async def test_what_fails(system_dns: SystemDns) -> None:
    for name in ("broken.test", "silent.test"):
        with pytest.raises(DnsError):
            await system_dns.ask(Question(name, "A"))


async def test_hosts_file_first(system_dns: SystemDns) -> None:
    assert (await system_dns.ask(Question("box.local", "A"))).addresses == ("127.0.0.9",)
    assert (await system_dns.ask(Question("box", "AAAA"))).addresses == ("::1",)
    assert (await system_dns.ask(Question("box.local", "AAAA"))).addresses == ()


async def test_the_whole_way(system_dns: SystemDns) -> None:
    locator = Locator(system_dns)
    assert await locator.locate(b"sip:bob@example.test") == (
        Destination("tcp", "192.0.2.1", 5070, "example.test"),
        Destination("tcp", "2001:db8::1", 5070, "example.test"),
        Destination("tcp", "192.0.2.3", 5071, "example.test"),
    )
    with pytest.raises(LocateError) as error:
        await locator.locate(b"sip:silent.test:5060")
    assert error.value.temporary


def test_hosts_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    hosts = Hosts(path)
    assert hosts.addresses("box", 4) is None
    path.write_text("192.0.2.1 box\n")
    assert hosts.addresses("box", 4) == ("192.0.2.1",)
    import os

    path.write_text("192.0.2.2 box\n")
    os.utime(path, (1, 1))
    assert hosts.addresses("box", 4) == ("192.0.2.2",)
