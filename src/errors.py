"""Every error the project raises on purpose. The class decides what the caller does.

    TraderError
    ├── ConfigError          a setting is unknown or impossible; refused before anything is loaded
    ├── DataError            market data cannot be used as it is
    │   ├── GapError         bars are missing where the policy forbids it
    │   └── LookaheadError   something asked for a bar that has not closed
    ├── ModelFileError       a model file is missing, corrupt, or made for something else
    ├── RunLocked            another process owns this run
    ├── OrderRefused         an order was definitively not placed; skip it
    │   └── WouldTake        a post-only order would have traded at once
    ├── OutcomeUnknown       an order may or may not stand; reconcile, never resend
    ├── TransientError       worth a retry
    └── TradingHalted        stop and call a person

Messages name the thing, its value and the remedy, in one sentence: the runners print it and exit with `exit_code`.
"""

from typing import ClassVar


class TraderError(Exception):
    """Root of the tree. `exit_code` is what a command line runner exits with."""

    exit_code: ClassVar[int] = 1


class ConfigError(TraderError):
    """A setting is unknown or impossible."""

    exit_code = 2


class DataError(TraderError):
    """Market data cannot be used as it is."""

    exit_code = 2


class GapError(DataError):
    """Bars are missing where the policy forbids it."""


class LookaheadError(DataError):
    """Something asked for a bar that has not closed yet."""


class ModelFileError(TraderError):
    """A model file is missing, corrupt, or was made for another symbol, timeframe or feature set."""

    exit_code = 2


class RunLocked(TraderError):
    """Another process is working on the same run."""

    exit_code = 2


class OrderRefused(TraderError):
    """The order was definitively not placed."""


class WouldTake(OrderRefused):
    """A post-only order was not placed, since it would have traded at once."""


class OutcomeUnknown(TraderError):
    """The order may or may not stand at the venue."""


class TransientError(TraderError):
    """A passing fault; the same call may succeed later."""


class TradingHalted(TraderError):
    """Trading stopped; a person must look."""
