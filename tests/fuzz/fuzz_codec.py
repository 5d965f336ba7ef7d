"""Fuzz the codec: ``python tests/fuzz/fuzz_codec.py -max_total_time=60``.

A difference between the twins counts as a crash. Run it from the root of the checkout, with PYTHONPATH=.
"""

import sys

import atheris

with atheris.instrument_imports(include=["node.sip"]):
    from corpus import FRAGMENTS, MESSAGES
    from differential import disagreement


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Octets changed by libFuzzer, or a SIP fragment spliced into a message."""
    if seed % 3 == 0:
        return atheris.Mutate(data, max_size)
    base = bytearray(data if seed % 3 == 1 and len(data) > 20 else MESSAGES[seed // 3 % len(MESSAGES)])
    for step in range(1 + seed % 4):
        at = (seed >> step) * 2654435761 % (len(base) + 1)
        base[at : at + (seed >> step) % 3] = FRAGMENTS[(seed >> 2 * step) % len(FRAGMENTS)]
    return bytes(base[:max_size])


def one_input(data: bytes) -> None:
    found = disagreement(data)
    if found:
        raise AssertionError(found)


atheris.Setup(
    ["fuzz_codec", "-max_len=4096", "-len_control=0", *sys.argv[1:]], one_input, custom_mutator=mutate
)
atheris.Fuzz()
