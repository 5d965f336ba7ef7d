"""The scripts of this room; what each takes and returns is at its top."""

from __future__ import annotations

from pathlib import Path

from cluster.redis.script import Script

EXPIRED = Script.read(Path(__file__).with_name("expired.lua"))
FENCE = Script.read(Path(__file__).with_name("fence.lua"))
