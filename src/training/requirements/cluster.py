"""The address of a Ray cluster, tried before Ray is: within seconds, and with a sentence that says what is wrong."""

import socket
import threading

from src.errors import ConfigError
from src.training.requirements.grpc_probe import grpc_call, is_understood

_SECONDS = 4.0  # for the name and the connection, each answered at once where all is well
_REMEDY = "give the address that `ray start --head` printed, such as 10.0.0.1:6379, auto, or null to start Ray here"


def check_cluster(address: str | None) -> None:
    """Refuse an address at which no Ray cluster answers.

    Args:
        address: `host:port`, `auto` for the cluster this machine belongs to, or None where Ray is started here.

    Raises:
        ConfigError: it is no such address, or nobody answers there as a head of a cluster does.
    """
    if address is None or address == "auto":
        return
    problem = _problem(address)
    if problem:
        raise ConfigError(f"runtime.ray_address='{address}' {problem}; {_REMEDY}")


def _problem(address: str) -> str:
    if "://" in address:
        return "is one of Ray's client or of a page, not of a cluster"
    host, colon, port = address.rpartition(":")
    if not colon or not host:
        return "must be written as host:port"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        return f"must end in a port of 1 to 65535, was '{port}'"
    said: list[str] = []
    # Looking up a name cannot be given a time.
    asking = threading.Thread(target=lambda: said.append(_answer(host.strip("[]"), int(port))), daemon=True)
    asking.start()
    asking.join(_SECONDS)
    return said[0] if said else f"did not answer in {_SECONDS:.0f} s"


def _answer(host: str, port: int) -> str:
    # Empty where the head of a cluster answers.
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as line, line.makefile("rb") as replies:
            line.sendall(grpc_call("/ray.rpc.NodeInfoGcsService/CheckAlive"))
            return "" if is_understood(replies) else "is answered by something else than Ray"
    except socket.gaierror:
        return f"names a machine '{host}' that cannot be found"
    except TimeoutError:
        return f"did not answer in {_SECONDS:.0f} s"
    except OSError as error:
        return f"cannot be reached ({error.strerror or error})"
