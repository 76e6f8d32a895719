"""A wrong address of a cluster is refused within seconds, before Ray would wait for minutes."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from src.errors import ConfigError
from src.training.requirements import cluster
from src.training.requirements.cluster import check_cluster


@contextmanager
def listening(reply: bytes = b"") -> Iterator[str]:
    """A server that answers the first connection with `reply`, or not at all; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        if reply:
            import threading

            def answer() -> None:
                line, _ = server.accept()
                with line:
                    line.recv(64)
                    line.sendall(reply)

            threading.Thread(target=answer, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def closed_port() -> str:
    with listening() as address:
        return address


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("ray://10.0.0.1:10001", "is one of Ray's client"),
        ("http://10.0.0.1:8265", "is one of Ray's client or of a page"),
        ("10.0.0.1", "must be written as host:port"),
        (":6379", "must be written as host:port"),
        ("10.0.0.1:63790", None),
        ("10.0.0.1:redis", "must end in a port of 1 to 65535, was 'redis'"),
        ("10.0.0.1:0", "must end in a port"),
        ("auot", "must be written as host:port"),
    ],
)
def test_what_is_no_address_is_refused_at_sight(
    address: str, says: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_answer", lambda *_: "")
    if says is None:
        check_cluster(address)
        return
    with pytest.raises(ConfigError, match="ray start --head") as refused:
        check_cluster(address)
    assert says in str(refused.value)


def test_a_closed_port_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be reached"):
        check_cluster(closed_port())


def test_another_server_is_not_taken_for_a_cluster() -> None:
    page, says = b"HTTP/1.1 400 Bad Request\r\n\r\n", "answered by something else than Ray"
    with listening(page) as address, pytest.raises(ConfigError, match=says):
        check_cluster(address)


def test_a_name_that_cannot_be_found_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", unknown)
    with pytest.raises(ConfigError, match="a machine 'haed' that cannot be found"):
        check_cluster("haed:6379")


def test_silence_is_waited_for_no_longer_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cluster._SECONDS <= 5
    monkeypatch.setattr(cluster, "_SECONDS", 0.05)
    with listening() as address, pytest.raises(ConfigError, match="did not answer"):
        check_cluster(address)
    monkeypatch.setattr(cluster, "_answer", lambda *_: time.sleep(60))  # a name that is looked up for ever
    with pytest.raises(ConfigError, match="did not answer"):
        check_cluster("slow:6379")


def test_no_address_and_auto_are_left_to_ray() -> None:
    check_cluster(None)
    check_cluster("auto")


@pytest.mark.ray
def test_a_cluster_answers(ray_session: str) -> None:
    check_cluster(ray_session)
