"""`TraderView`: what a trader lets others know."""

from dataclasses import dataclass, field

from src.live.watching.pulse import Pulse


@dataclass
class TraderView:
    """What others may know of a trader: health, metrics, summaries."""

    last_close: int = 0
    last_settled: int = 0
    clock_offset_ms: int = 0
    equity: float = 0.0
    units: float = 0.0
    target: float = 0.0
    decided: int = 0
    passed_over: int = 0
    orders: int = 0
    decision_ms: float = 0.0
    refused: int = 0
    trouble: str = ""
    refusal: str = ""  # what goes on candle after candle
    unprotected: str = ""  # why what is held has no protective stop
    pulse: Pulse = field(default_factory=Pulse)
