"""All stand-ins by name."""

from __future__ import annotations

from tests.standins.apns import ApnsStandIn
from tests.standins.fcm import FcmStandIn
from tests.standins.standin import StandIn
from tests.standins.web_push import WebPushStandIn
from tests.standins.webhook import WebhookStandIn
from tests.standins.wns import WnsStandIn

_ALL: tuple[type[StandIn], ...] = (ApnsStandIn, FcmStandIn, WnsStandIn, WebPushStandIn, WebhookStandIn)
KINDS = {each.kind: each for each in _ALL}
