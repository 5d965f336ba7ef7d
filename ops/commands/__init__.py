"""Commands with a file of their own; `ops/cli.py` puts them together.

Each reads what the operator typed, asks a node over its admin socket or does something by itself, and prints.
Exit codes: 0 done, 1 it could not be done, 2 the configuration is wrong.
"""
