"""One gRPC call over a bare socket: enough to tell a server that speaks gRPC from any other, without Ray.

Frames and header fields are those of HTTP/2 (RFC 9113, section 4.1) and HPACK (RFC 7541, section 6).
"""

from typing import BinaryIO

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _SETTINGS = 0, 1, 4
_END_STREAM, _END_HEADERS, _PADDED, _PRIORITY = 1, 4, 8, 32
_POST, _HTTP, _STATUS_200 = b"\x83", b"\x86", 0x88  # fields that have a number of their own
_NO_MESSAGE = bytes(5)
_MOST_FRAMES = 16  # that a server sends before it answers


def grpc_call(method: str) -> bytes:
    """Return the bytes of a connection that calls a method, of a name below 127 bytes, with an empty message."""
    fields = (
        _POST
        + _HTTP
        + _field(b"\x04", method)
        + _field(b"\x01", "localhost")
        + _field(b"\x0f\x10", "application/grpc")
        + _field(b"\x00\x02te", "trailers")
    )
    return (
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, fields)
        + _frame(_DATA, _END_STREAM, 1, _NO_MESSAGE)
    )


def is_understood(replies: BinaryIO) -> bool:
    """Say whether a server answers a call as gRPC does, with status 200 whatever comes of the call."""
    for _ in range(_MOST_FRAMES):
        head = replies.read(9)
        if len(head) < 9 or head[3] > 9:  # it hung up, or speaks something else
            return False
        payload = replies.read(int.from_bytes(head[:3], "big"))
        if head[3] == _HEADERS:
            return _first_field(payload, flags=head[4]) == _STATUS_200
    return False


def _first_field(payload: bytes, flags: int) -> int | None:
    start = (1 if flags & _PADDED else 0) + (5 if flags & _PRIORITY else 0)
    fields = payload[start:].lstrip(bytes(range(0x20, 0x40)))  # sizes of its table
    return fields[0] if fields else None


def _field(name: bytes, value: str) -> bytes:
    return name + bytes([len(value)]) + value.encode()


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload
