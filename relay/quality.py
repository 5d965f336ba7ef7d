"""How good a call sounds, by loss, delay and jitter: the E-model (ITU-T G.107) in its short form."""

from __future__ import annotations

from typing import Final

_BEST: Final = 93.2
_CODECS: Final = {  # codec -> (impairment, robustness against loss), ITU-T G.113 and practice
    "pcmu": (0.0, 25.1),
    "pcma": (0.0, 25.1),
    "opus": (0.0, 30.0),
    "g722": (0.0, 25.1),
    "g729": (11.0, 19.0),
    "gsm": (20.0, 10.0),
    "ilbc": (11.0, 32.0),
    "amr": (5.0, 10.0),
}
_UNKNOWN: Final = (5.0, 15.0)


def rating(loss: float, round_trip: float, jitter: float, codec: str = "pcmu") -> float:
    """The transmission rating factor R, 0 to 93.2. `loss` 0 to 1; `round_trip` and `jitter` in seconds."""
    equipment, robustness = _CODECS.get(codec.lower(), _UNKNOWN)
    delay = 1000 * (max(round_trip, 0.0) / 2 + 2 * max(jitter, 0.0)) + 20  # ms, with jitter buffer and frame
    slow = 0.024 * delay + (0.11 * (delay - 177.3) if delay > 177.3 else 0.0)
    percent = 100 * min(max(loss, 0.0), 1.0)
    lossy = equipment + (95 - equipment) * percent / (percent + robustness)
    return max(0.0, _BEST - slow - lossy)


def mean_opinion_score(loss: float, round_trip: float, jitter: float, codec: str = "pcmu") -> float:
    """The score that listeners would give, 1.0 (bad) to 4.5 (excellent)."""
    r = rating(loss, round_trip, jitter, codec)
    return min(4.5, max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r)))
