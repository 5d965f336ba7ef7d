"""What a relayed packet costs: `python -m loadtests.relay`.

load.c sends G.711 calls through a relay and counts what comes back and how late; forward.c is the least that
a relay with a port for each stream can do. Both are built on the spot. drive.py is our relay in a process of
its own; __main__.py runs both beside each other, in turn, and prints the ratio.
"""
