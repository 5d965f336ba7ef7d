"""The forwarder of this installation: compiled where a compiler was, else its slow twin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("CLARION_PURE_PYTHON") == "1":
    from relay.forward_python import SLOW, Forwarder
else:
    try:
        from relay._forward import SLOW, Forwarder
    except ImportError:
        from relay.forward_python import SLOW, Forwarder

__all__ = ["SLOW", "Forwarder"]
