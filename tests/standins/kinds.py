"""All stand-ins by name."""

from __future__ import annotations

from tests.standins.apns import ApnsStandIn
from tests.standins.fcm import FcmStandIn
from tests.standins.standin import StandIn

KINDS: dict[str, type[StandIn]] = {each.kind: each for each in (ApnsStandIn, FcmStandIn)}
