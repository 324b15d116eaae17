"""Writes a source's events to a file, and reads them back as a source.

Only a recording holds raw bytes: it is made only by its own command and readable only by its owner. After a
header (format version, origin, the id of the fingerprint key) it has one msgpack array per event, in order,
so that a cut file is a recording up to its last complete event. The format has its own integer version.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import astuple, fields
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any

import msgpack

from agent.events import (
    Address,
    Chunk,
    Clock,
    Closed,
    ConnectionKey,
    Direction,
    Event,
    Hello,
    Lost,
    Opened,
    PodContainer,
    PodGone,
    PodSeen,
    PodsWatched,
    ProcessGone,
    ProcessSeen,
    Role,
    Tick,
)
from agent.sources.content import File, FileContent, Header, Item, Remark

MAGIC = b"spectap recording\n"
VERSION = 1
MAX_EVENT = 1 << 20
"""Bytes of one packed event; the agent writes no longer ones."""

NO_PID = 0
"""The pid in the file of a connection that processes may share."""

KINDS: tuple[type[Any], ...] = (
    *(Clock, ProcessSeen, ProcessGone, Opened, Chunk, Closed, Lost, Tick, Hello),
    *(PodsWatched, PodSeen, PodGone),
)
"""An event is written as its index here, then its fields. Append only."""


class RecordingError(ValueError):
    """The file is no recording that this version reads, or cannot be written as one; the message is a
    sentence.
    """


def recognises(head: bytes) -> bool:
    """Whether a file that begins with `head` is a recording."""
    return head.startswith(MAGIC)


def content(file: File, name: str, written_ns: int) -> FileContent:
    """The events of a recording, and its origin. Raises RecordingError."""
    recording = Recording(file, name)
    return FileContent(_items(recording), recording.header)


def _items(recording: Recording) -> Iterator[Item]:
    yield from recording.events()
    if recording.cut:
        yield Remark("the recording ends within an event; all before it was read")


def key_id(key: bytes) -> str:
    """Identifies a fingerprint key without revealing it."""
    return hashlib.sha256(b"spectap key id\0" + key).hexdigest()[:16]


class RecordingWriter:
    """Writes events to a new file that only its owner can read. Raises OSError."""

    def __init__(self, path: Path, header: Header) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(MAGIC + msgpack.packb([VERSION, *astuple(header)]))

    def write(self, event: Event) -> None:
        """Appends one event."""
        self._file.write(msgpack.packb(_plain(event)))

    def __enter__(self) -> RecordingWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Writes out what is buffered."""
        self._file.close()


def _plain(event: Event) -> list[Any]:
    values = (getattr(event, field.name) for field in fields(event))
    return [KINDS.index(type(event)), *(_value(value) for value in values)]


def _value(value: Any) -> Any:
    if isinstance(value, ConnectionKey):
        return [value.source, value.address, value.generation, value.pid or NO_PID]
    if isinstance(value, Address):
        return [value.ip, value.port, value.netns]
    if isinstance(value, PodContainer):
        return [value.id, value.name, value.image, value.digest]
    if isinstance(value, tuple):
        return [_value(one) for one in value]
    return str(value) if isinstance(value, (Direction, Role)) else value


class Recording:
    """A source that reads a recording. Raises RecordingError if the file is none."""

    def __init__(self, file: File, name: str) -> None:
        self._name = name
        if file.read(len(MAGIC)) != MAGIC:
            raise RecordingError(f"{name}: not a spectap recording")
        self._unpacker = msgpack.Unpacker(
            file, raw=False, max_buffer_size=4 * MAX_EVENT, max_bin_len=MAX_EVENT
        )
        self.header = self._header()
        self.cut = False
        """Whether the file ended inside an event, as after a crash."""

    def _header(self) -> Header:
        try:
            version, *rest = self._unpacker.unpack()
            if version != VERSION:
                raise RecordingError(
                    f"{self._name}: recorded in format {version}; this version reads {VERSION}"
                )
            header = Header(*rest)
        except (msgpack.exceptions.UnpackException, ValueError, TypeError) as error:
            if isinstance(error, RecordingError):
                raise
            raise RecordingError(f"{self._name}: the recording's header is damaged") from None
        return header

    def events(self) -> Iterator[Event]:
        """The events in order. Raises RecordingError at a damaged one; a cut end is only recorded."""
        while True:
            at = self._unpacker.tell()
            try:
                plain = self._unpacker.unpack()
            except msgpack.exceptions.OutOfData:
                self.cut = self._unpacker.tell() != at
                return
            except (msgpack.exceptions.UnpackException, ValueError) as error:
                raise RecordingError(
                    f"{self._name}: damaged near byte {at} ({type(error).__name__})"
                ) from None
            yield self._event(plain, at)

    def _event(self, plain: Any, at: int) -> Event:
        try:
            kind, *values = plain
            event: Event = READERS[kind](values)
            return event
        except (TypeError, ValueError, IndexError, KeyError):
            raise RecordingError(f"{self._name}: not an event near byte {at}") from None


def _key(value: list[Any]) -> ConnectionKey:
    source, address, generation, pid = value
    return ConnectionKey(
        _text(source), _number(address), _number(generation), None if pid == NO_PID else _number(pid)
    )


def _address(value: list[Any] | None) -> Address | None:
    if value is None:
        return None
    ip, port, netns = value
    return Address(_ip(_text(ip)), _number(port), None if netns is None else _number(netns))


@lru_cache(4096)
def _ip(text: str) -> str:
    """`text`, checked to be an address. Raises ValueError."""
    ip_address(text)
    return text


def _role(value: Any) -> Role | None:
    return None if value is None else Role(value)


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


def _maybe_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _maybe_number(value: Any) -> int | None:
    return None if value is None else _number(value)


def _seen(v: list[Any]) -> ProcessSeen:
    time_ns, pid, ticks, name, executable, cgroup, *image = v
    return ProcessSeen(
        _number(time_ns),
        _number(pid),
        _maybe_number(ticks),
        _text(name),
        _maybe_text(executable),
        _maybe_text(cgroup),
        *map(_maybe_text, image),
    )


def _opened(v: list[Any]) -> Opened:
    time_ns, key, local, peer, role = v
    return Opened(_number(time_ns), _key(key), _address(local), _address(peer), _role(role))


def _chunk(v: list[Any]) -> Chunk:
    time_ns, key, direction, position, length, data, pid, local, peer, role, from_start, *capped = v
    if capped not in ([], [False], [True]):
        raise TypeError
    if type(data) is not bytes or type(from_start) is not bool or len(data) > _number(length) or position < 0:
        raise TypeError
    return Chunk(
        _number(time_ns),
        _key(key),
        Direction(direction),
        _number(position),
        length,
        data,
        _maybe_number(pid),
        _address(local),
        _address(peer),
        _role(role),
        from_start,
        capped == [True],
    )


def _hello(v: list[Any]) -> Hello:
    time_ns, local, peer, random = v
    own, other = _address(local), _address(peer)
    if own is None or other is None or type(random) is not bytes:
        raise TypeError
    return Hello(_number(time_ns), own, other, random)


def _pod(v: list[Any]) -> PodSeen:
    time_ns, uid, name, namespace, node, workload, kind, labels, ips, containers, captured, *header = v
    return PodSeen(
        _number(time_ns),
        _text(uid),
        _text(name),
        _text(namespace),
        _maybe_text(node),
        _maybe_text(workload),
        _maybe_text(kind),
        tuple((_text(key), _text(value)) for key, value in labels),
        tuple(_ip(_text(ip)) for ip in ips),
        tuple(_container(one) for one in containers),
        _flag(captured),
        *map(_maybe_text, header),
    )


def _container(v: list[Any]) -> PodContainer:
    id, name, image, digest = v
    return PodContainer(_maybe_text(id), _text(name), _maybe_text(image), _maybe_text(digest))


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


READERS: tuple[Callable[[list[Any]], Event], ...] = (
    lambda v: Clock(_number(v[0]), _text(v[1])),
    _seen,
    lambda v: ProcessGone(_number(v[0]), _number(v[1])),
    _opened,
    _chunk,
    lambda v: Closed(_number(v[0]), _key(v[1])),
    lambda v: Lost(_number(v[0]), _text(v[1]), _number(v[2])),
    lambda v: Tick(_number(v[0])),
    _hello,
    lambda v: PodsWatched(_number(v[0]), _flag(v[1]), _flag(v[2])),
    _pod,
    lambda v: PodGone(_number(v[0]), _text(v[1])),
)
"""One reader for each of KINDS."""
