"""The location service (RFC 3261 10): which bindings an address of record has.

A REGISTER becomes one atomic script in Redis (`register.lua`); a call reads through a local cache
(`cache.py`) that Redis keeps honest. `service.py` is the only door.

Words: address of record (`aor`, "user@host"), binding, device key, record (all bindings of one aor).
"""
