"""Starting and stopping Ray: quietly, small by default, or on a cluster named by its address."""

import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
import torch

from src.command_line import Terminated
from src.config.runtime import Device, RuntimeConfig
from src.errors import ConfigError, TransientError

logger = logging.getLogger(__name__)

_OBJECT_STORE_BYTES = 200 * 2**20
_TOKEN = "RAY_AUTH_TOKEN"
_START_ATTEMPTS = 5  # Ray gives itself 30 s for each, which is not enough where much else is running


@contextmanager
def ray_session(runtime: RuntimeConfig, processes: int = 1) -> Iterator[None]:
    """Run the body with Ray available, and room for so many processes that work at the same time.

    A session that was already running is left running.

    Raises:
        TransientError: Ray did not start in time, again and again.
    """
    torch.set_num_threads(runtime.torch_threads)
    _quieten()
    started = not ray.is_initialized()
    if started:
        with _sigterm_kept():
            _join_or_start(runtime, processes)
    try:
        yield
    finally:
        if started:
            ray.shutdown()


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    # Ray would end the process at SIGTERM by itself: while it starts by an exit, from then on by a dump of its stack.
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit as error:
        raise Terminated from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)


def _join_or_start(runtime: RuntimeConfig, processes: int) -> None:
    address = runtime.ray_address
    if address is not None:
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            raise ConfigError(f"runtime.ray_address='{address}' cannot be joined: {reason}") from error
    else:
        _start(num_cpus=max(os.cpu_count() or 1, runtime.num_env_runners + 1, processes))


def _start(num_cpus: int) -> None:
    for _ in range(_START_ATTEMPTS):
        try:
            ray.init(
                address="local",  # whatever cluster this machine may belong to
                num_cpus=num_cpus,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                object_store_memory=_OBJECT_STORE_BYTES,
            )
            return
        except OSError as error:  # it keeps the token of its sessions in the user's home, which may not be writable
            if _TOKEN in os.environ or isinstance(error, ConnectionError | TimeoutError):
                raise
            os.environ[_TOKEN] = secrets.token_hex(32)
        except Exception as error:  # Ray raises nothing more precise
            if "timed out during startup" not in str(error):
                raise
            logger.warning("Ray did not start in time, as happens where much else is running; it is started again")
            ray.shutdown()
    raise TransientError(f"Ray did not start in {_START_ATTEMPTS} attempts; try again once the machine is less busy")


def _quieten() -> None:
    """Keep what Ray tells its own developers out of a user's terminal."""
    for name in ("ray", "ray.rllib", "ray.tune", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


def resolve_device(runtime: RuntimeConfig) -> torch.device:
    """Return the torch device of a run.

    Raises:
        ConfigError: CUDA was asked for and is not there.
    """
    available = torch.cuda.is_available()
    if runtime.device is Device.cuda and not available:
        raise ConfigError("runtime.device=cuda, but torch sees no CUDA device; use runtime.device=auto or cpu")
    return torch.device("cuda" if available and runtime.device is not Device.cpu else "cpu")
