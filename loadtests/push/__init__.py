"""What a push costs, and how soon after the INVITE it is at the provider: `python -m loadtests.push`.

A stand-in of Apple's server (tests/standins, --fast) notes when each push came; drive.py is the push service
of a node in a process of its own; __main__.py starts them, a node, and sends it INVITEs.
"""
