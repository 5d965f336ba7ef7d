"""Fuzz the framing: ``python tests/fuzz/fuzz_framing.py -max_total_time=60``.

However a stream is cut, it means the same. Run it from the root of the checkout, with PYTHONPATH=.
"""

import sys

import atheris

with atheris.instrument_imports(include=["node.sip"]):
    from corpus import FRAGMENTS, MESSAGES
    from framings import one_stream


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Octets changed by libFuzzer, or messages and fragments strung together."""
    if seed % 3 == 0:
        return atheris.Mutate(data, max_size)
    out = bytearray(data[:1] or b"\x05")
    for step in range(1 + seed % 5):
        out += MESSAGES[(seed >> step) % len(MESSAGES)]
        out += FRAGMENTS[(seed >> 2 * step) % len(FRAGMENTS)] if seed & 8 else b""
    return bytes(out[:max_size])


atheris.Setup(
    ["fuzz_framing", "-max_len=8192", "-len_control=0", *sys.argv[1:]], one_stream, custom_mutator=mutate
)
atheris.Fuzz()
