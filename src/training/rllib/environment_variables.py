"""What Ray and OpenMP read from the environment when they are loaded."""

import os

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Threads that wait give their core away: where others want it, spinning ones are many times slower.
    "OMP_WAIT_POLICY": "passive",
}


def set_environment_variables() -> None:
    """Set what is not set yet; call it before anything imports ray or torch."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
