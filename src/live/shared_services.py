"""`SharedServices`: what all traders of a process share."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from src.brokerage.clock import Clock
from src.config.live import LiveConfig
from src.config.risk import RiskLimits
from src.journal.journal import Journal
from src.live.exchange_clock import uptime_ms
from src.live.watching.notify import Notifier


@dataclass(frozen=True)
class SharedServices:
    """What all traders of a process share."""

    config: LiveConfig
    limits: RiskLimits
    journal: Journal
    notifier: Notifier
    clock: Clock
    halts: Path | None = None  # folder of the files that keep what the journal cannot take
    uptime_ms: Callable[[], int] = uptime_ms  # of this machine, by a clock that never jumps
