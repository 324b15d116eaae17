"""Follows all objects of one kind: lists them, then watches from the list's version on.

| state    | event                                  | next                                             |
|----------|----------------------------------------|--------------------------------------------------|
| unlisted | all objects are listed                 | watching from the list's version                 |
| unlisted | failure                                | unlisted, after a pause                          |
| both     | the cluster has no such kind (404)     | unlisted, with no objects, after a long pause    |
| watching | ADDED, MODIFIED, DELETED, BOOKMARK     | watching from the object's version               |
| watching | the answer ends                        | watching from the same version                   |
| watching | the version is too old (410)           | unlisted                                         |
| watching | failure                                | watching from the same version, after a pause    |

What was listed stays known while the API server is away. The protocol is that of "Efficient detection of
changes" in the API concepts of Kubernetes' documentation.
"""

from __future__ import annotations

import logging
import random
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Generic, Protocol, TypeVar

import httpx
import msgspec
from msgspec import Raw, Struct

from agent.kube.access import JSON, Access
from agent.kube.objects import KubernetesObject, Meta

log = logging.getLogger(__name__)

T = TypeVar("T", bound=KubernetesObject)
T_contra = TypeVar("T_contra", bound=KubernetesObject, contravariant=True)

METADATA_ONLY = "application/json;as={};g=meta.k8s.io;v=1,application/json"
"""The media type of objects without spec and status (the API concepts' "Metadata-only fetches")."""
WATCH_S = 300  # an answer to a watch is ended by the API server after that
LIST_S = 30.0  # between two pieces of an answer to a list
CONNECT_S = 5.0
PAGE = 500  # objects of a list
LEAST_PAUSE_S, MOST_PAUSE_S = 0.5, 30.0
ABSENT_S = 60.0  # until a kind that the cluster does not have is looked for again
STOP_S = 2.0
KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
"""An API server that vanished without a word is noticed within half a minute."""


@dataclass(frozen=True, slots=True)
class ObjectKind(Generic[T]):
    """Which objects are followed. `name` is the plural; `path` that of the API; `fields` a field selector.
    `is_optional`: many clusters have no such kind, which is no failure.
    """

    name: str
    path: str
    type: type[T]
    fields: str = ""
    metadata_only: bool = False
    is_optional: bool = False


class Sink(Protocol[T_contra]):
    """Takes what is learnt, on the watch's thread."""

    def replace(self, objects: Sequence[T_contra]) -> None:
        """These are all there are."""

    def put(self, one: T_contra) -> None:
        """This one is new, or has changed."""

    def remove(self, one: T_contra) -> None:
        """This one is no more."""


class _ListMeta(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _Listed(Struct):
    metadata: _ListMeta
    items: tuple[Raw, ...] | None = None


class _Line(Struct):
    type: str
    object: Raw


class _Status(Struct):
    code: int = 0


class _Versioned(Struct):
    metadata: Meta


class _Failure(Exception):
    """The message is a sentence without a subject."""


class _Absent(Exception):
    """The cluster has no such kind."""


class _Expired(Exception):
    """Changes since this version are not known any more."""


_LISTED, _LINE, _STATUS, _VERSIONED = map(msgspec.json.Decoder, (_Listed, _Line, _Status, _Versioned))


def pause_s(failures: int) -> float:
    """How long to wait after so many failures in a row: longer each time, and not with all others at once."""
    longest = min(MOST_PAUSE_S, LEAST_PAUSE_S * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)


class Watch(Generic[T]):
    """Follows one kind in a thread of its own, until stopped."""

    def __init__(
        self, access: Access, kind: ObjectKind[T], sink: Sink[T], pause: Callable[[int], float] = pause_s
    ) -> None:
        self._access, self._kind, self._sink, self._pause = access, kind, sink, pause
        self._decoder = msgspec.json.Decoder(kind.type)
        self._version: str | None = None
        self._list_from = "0"  # any version will do, so that the API server answers from its cache
        self._failures = 0
        self._stopping = threading.Event()
        self._listed = threading.Event()
        self._reading: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch-{kind.name}", daemon=True)
        self.trouble: str | None = None
        """Why changes are not seen at present: a sentence; None if they are."""

    def start(self) -> None:
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Waits for the first list. Returns whether it came."""
        return self._listed.wait(seconds)

    @property
    def is_listed(self) -> bool:
        """Whether all objects were listed once."""
        return self._listed.is_set()

    def stop(self) -> None:
        """Ends the thread, which may be within an answer."""
        self._stopping.set()
        reading = self._reading
        if reading is not None:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(reading, socket.SHUT_RDWR)  # of the TCP connection, also below TLS
        if self._thread.is_alive():
            self._thread.join(STOP_S)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._connect()
            except _Absent:
                self._absent()
            except _Failure as failure:
                self._failed(str(failure))
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                self._failed(f"cannot be reached ({type(error).__name__})")
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                self._failed(f"sent what is no list or watch ({type(error).__name__})")

    def _failed(self, why: str) -> None:
        if self._stopping.is_set():
            return
        self._failures += 1
        sentence = f"{self._kind.name}: the Kubernetes API {why}"
        if self.trouble != sentence:
            log.warning("%s; trying again, with what is known so far", sentence)
        self.trouble = sentence
        self._stopping.wait(self._pause(self._failures))

    def _absent(self) -> None:
        self._version = None
        self._sink.replace([])
        self._listed.set()
        self._well()
        self._stopping.wait(ABSENT_S)

    def _well(self) -> None:
        if self.trouble is not None:
            log.info("%s: the Kubernetes API answers again", self._kind.name)
        self.trouble, self._failures = None, 0

    def _connect(self) -> None:
        """Follows over one connection. Raises whatever ends it."""
        timeout = httpx.Timeout(LIST_S, connect=CONNECT_S)
        transport = httpx.HTTPTransport(verify=self._access.trust(), socket_options=KEEPALIVE)
        with closing(httpx.Client(transport=transport, timeout=timeout, trust_env=False)) as client:
            while not self._stopping.is_set():
                try:
                    if self._version is None:
                        self._list(client)
                    else:
                        self._watch(client, self._version)
                except _Expired:
                    self._version, self._list_from = None, ""  # the newest: the cache may be as old

    def _list(self, client: httpx.Client) -> None:
        objects: list[T] = []
        params = {"limit": str(PAGE), "resourceVersion": self._list_from}
        while True:
            with self._answer(client, params, LIST_S) as response:
                listed = _LISTED.decode(response.read())
            objects += [self._decoder.decode(raw) for raw in listed.items or ()]
            if not listed.metadata.continue_:
                break
            params = {"limit": str(PAGE), "continue": listed.metadata.continue_}
        self._version = listed.metadata.resource_version
        self._sink.replace(objects)
        self._listed.set()
        self._well()

    def _watch(self, client: httpx.Client, version: str) -> None:
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(random.randint(WATCH_S * 4 // 5, WATCH_S)),
        }
        changes = 0
        with self._answer(client, params, WATCH_S + LIST_S) as response:
            self._well()
            for line in _lines(response.iter_bytes()):
                if line:
                    self._change(_LINE.decode(line))
                    changes += 1
        if not changes:
            self._stopping.wait(LEAST_PAUSE_S)  # ended at once, perhaps: not in a busy loop

    def _change(self, line: _Line) -> None:
        if line.type == "ERROR":
            code = _STATUS.decode(line.object).code
            if code == HTTPStatus.GONE:
                raise _Expired
            raise _Failure(f"ended the watch (HTTP {code})")
        if line.type == "BOOKMARK":
            self._version = _VERSIONED.decode(line.object).metadata.resource_version
            return
        one = self._decoder.decode(line.object)
        if line.type == "DELETED":
            self._sink.remove(one)
        elif line.type in ("ADDED", "MODIFIED"):
            self._sink.put(one)
        self._version = one.metadata.resource_version

    @contextmanager
    def _answer(
        self, client: httpx.Client, params: Mapping[str, str], read_s: float
    ) -> Iterator[httpx.Response]:
        kind = self._kind
        is_list = "watch" not in params
        partial = "PartialObjectMetadataList" if is_list else "PartialObjectMetadata"
        headers = self._access.headers(METADATA_ONLY.format(partial) if kind.metadata_only else JSON)
        selector = {"fieldSelector": kind.fields} if kind.fields else {}
        timeout = httpx.Timeout(read_s, connect=CONNECT_S)
        url = self._access.url + kind.path
        with client.stream(
            "GET", url, params={**params, **selector}, headers=headers, timeout=timeout
        ) as response:
            self._reading = response.extensions["network_stream"].get_extra_info("socket")
            try:
                if self._stopping.is_set():
                    raise _Failure("is left")
                self._check(response.status_code)
                yield response
            finally:
                self._reading = None

    def _check(self, status: int) -> None:
        """Raises for any answer but 200."""
        if status == HTTPStatus.GONE:
            raise _Expired
        if status == HTTPStatus.NOT_FOUND and self._kind.is_optional:
            raise _Absent
        if status == HTTPStatus.UNAUTHORIZED:
            raise _Failure("does not accept the service account's token (HTTP 401)")
        if status == HTTPStatus.FORBIDDEN:
            raise _Failure(
                f"does not let the service account list and watch {self._kind.name} (HTTP 403): "
                "grant it these two verbs in a ClusterRole"
            )
        if status != HTTPStatus.OK:
            raise _Failure(f"answers HTTP {status}")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines end at line feeds only: an annotation may hold U+0085, at which `str.splitlines` would cut."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    yield rest
