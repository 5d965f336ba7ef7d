"""The SIP codec in use: compiled if it was built and CLARION_PURE_PYTHON is not 1, else its Python twin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from node.sip.errors import ParseError

if TYPE_CHECKING or os.environ.get("CLARION_PURE_PYTHON") == "1":
    from node.sip.codec_python import body_length, parse, whole
    from node.sip.message import Message

    COMPILED: bool = False
else:
    try:
        from node.sip._codec import Message, body_length, parse, whole

        COMPILED = True
    except ImportError:
        from node.sip.codec_python import body_length, parse, whole
        from node.sip.message import Message

        COMPILED = False

__all__ = ["COMPILED", "Message", "ParseError", "body_length", "parse", "whole"]
