"""One push notification: what is to be told to which app on which phone, until when."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["voip", "alert", "background", "data"]
Event = Literal["call", "message", "refresh", "summary", "missed", "accepted", "declined"]


class Push(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a provider needs. Times are ms on the store's clock."""

    id: str  # lower-case UUID; the same at each repetition, so that who gets it twice can tell
    provider: str  # apns, apns.dev, fcm, wns, webpush, webhook
    app: str  # whose app: APNs topic without suffix, FCM project, WNS package, ... (RFC 8599 pn-param)
    token: str  # which phone: device token, registration token, channel URL or subscription URL
    kind: Kind  # voip: PushKit; alert: shown to the user; background: silent; data: FCM, WNS raw
    event: Event  # why; accepted and declined mean: elsewhere
    created_at: int
    expires_at: int  # not sent any more from then on
    aor: str = ""
    device: str = ""  # key of the binding
    registered_at: int = 0  # when the token was last registered
    call_id: str = ""
    from_uri: str = ""
    from_name: str = ""
    from_tag: str = ""
    to_uri: str = ""
    loc_key: str = ""  # text key in the app's string table
    loc_args: tuple[str, ...] = ()
    sound: str = ""
    collapse: str = ""  # pushes of one phone with the same word replace each other
    parameters: dict[str, str] = {}  # push parameters of the Contact, as given
    body: str = ""  # text of the message, where the provider is given it

    def seconds_left(self, now_ms: int) -> int:
        """Whole seconds until it expires, at least 0."""
        return max(0, (self.expires_at - now_ms) // 1000)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Push).decode  # raises msgspec.MsgspecError
