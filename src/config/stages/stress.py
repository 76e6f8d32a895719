"""Settings of generated stress: how a market is resampled, and what is done to it. Rules as in `base.py`."""

from dataclasses import dataclass, field

from src.config.base import Schema, require_at_least, require_between


@dataclass
class CrashConfig(Schema):
    """Sudden falls, and what comes after. Sizes are in typical deviations of a bar at the time.

    Attributes:
        per_thousand_bars: mean number of them.
        size_deviations: mean size of a fall; each is drawn between half and one and a half of it.
        bars: bars a fall takes.
        recovered_frac: share of a fall that is regained.
        recovery_bars: bars in which half of that is regained.
    """

    per_thousand_bars: float = 0.5
    size_deviations: float = 6.0
    bars: int = 2
    recovered_frac: float = 0.4
    recovery_bars: float = 15.0

    def check(self) -> None:
        require_between("crash.per_thousand_bars", self.per_thousand_bars, 0.0, 100.0)
        require_between("crash.size_deviations", self.size_deviations, 0.0, 100.0)
        require_at_least("crash.bars", self.bars, 1)
        require_between("crash.recovered_frac", self.recovered_frac, 0.0, 1.0)
        require_at_least("crash.recovery_bars", self.recovery_bars, 1)


@dataclass
class StressConfig(Schema):
    """How a series is turned into another that might have been.

    Attributes:
        block_bars: mean length of the stretches that are resampled; null keeps the order of the source. Short ones
            are new and plausible, but hold little of what one return tells of the next ones; null holds all of it.
        regimes: classes of volatility; a stretch is followed by one that began in the same class.
        volatility_factor: constant factor on every move.
        volatility_spread: standard deviation of the logarithm of a further factor that varies slowly.
        volatility_bars: bars over which that factor is remembered.
        tilt: share of the distance to its average of `tilt_bars` that a price moves away (negative: comes back) a bar;
            what it has moved so far fades by 2 / (tilt_bars + 1) a bar.
        gaps_per_thousand_bars, gap_deviations: mean number and size of jumps at the open, up or down.
        merged_frac: share of bars made of two, as if time ran at double speed, in stretches of about `merged_bars`.
    """

    block_bars: float | None = 2.0
    regimes: int = 5
    volatility_factor: float = 1.0
    volatility_spread: float = 0.1
    volatility_bars: float = 250.0
    tilt: float = 0.0
    tilt_bars: float = 40.0
    gaps_per_thousand_bars: float = 1.0
    gap_deviations: float = 3.0
    merged_frac: float = 0.05
    merged_bars: float = 60.0
    crash: CrashConfig = field(default_factory=CrashConfig)

    def check(self) -> None:
        if self.block_bars is not None:
            require_at_least("block_bars", self.block_bars, 1)
        require_between("regimes", self.regimes, 1, 20)
        require_between("volatility_factor", self.volatility_factor, 0.01, 100.0)
        require_between("volatility_spread", self.volatility_spread, 0.0, 2.0)
        for name in ("volatility_bars", "tilt_bars", "merged_bars"):
            require_at_least(name, getattr(self, name), 1)
        require_between("tilt", self.tilt, -0.5, 0.5)
        require_between("gaps_per_thousand_bars", self.gaps_per_thousand_bars, 0.0, 1000.0)
        require_between("gap_deviations", self.gap_deviations, 0.0, 100.0)
        require_between("merged_frac", self.merged_frac, 0.0, 0.9)
