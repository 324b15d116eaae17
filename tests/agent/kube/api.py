"""A small real HTTP server that lists and watches as the Kubernetes API does (API concepts: "Efficient
detection of changes"): versions, field selectors, bookmarks, 410, tokens.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from agent.kube.access import Access
from tests.served import served

Object = dict[str, Any]

PODS, NAMESPACES = "/api/v1/pods", "/api/v1/namespaces"
SERVICES, SLICES = "/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices"
INGRESSES = "/apis/networking.k8s.io/v1/ingresses"
HTTP_ROUTES = "/apis/gateway.networking.k8s.io/v1/httproutes"
GATEWAYS = "/apis/gateway.networking.k8s.io/v1/gateways"
GRANTS = "/apis/gateway.networking.k8s.io/v1beta1/referencegrants"
SECRET = "Quokka-Bassoon-8814"
UID = "12345678-1234-1234-1234-123456789abc"


class Api:
    """Its objects by path and name. Every change has the next version."""

    def __init__(self) -> None:
        self.version = 100
        self.oldest = 0
        """Changes up to this version are not known any more."""
        self.objects: dict[str, dict[str, Object]] = {}
        self.changes: list[tuple[int, str, str, Object]] = []
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.refuses: int | None = None
        """The status of every answer; None to answer as it should."""
        self.token = "a"
        self.absent: set[str] = set()
        """Paths of kinds that the cluster does not have."""
        self.forbidden: set[str] = set()
        """Those that the service account may not read."""
        self.is_closing = False
        self.watches = 0
        self.changed = threading.Condition()

    def put(self, path: str, one: Object) -> None:
        with self.changed:
            name = one["metadata"]["name"]
            kind = "MODIFIED" if name in self.objects.setdefault(path, {}) else "ADDED"
            self._change(path, kind, one)
            self.objects[path][name] = one

    def remove(self, path: str, name: str) -> None:
        with self.changed:
            self._change(path, "DELETED", self.objects[path].pop(name))

    def bookmark(self, path: str) -> None:
        with self.changed:
            self._change(path, "BOOKMARK", {"metadata": {}})

    def forget_changes(self) -> None:
        """What happened so far cannot be watched any more."""
        with self.changed:
            self.oldest = self.version
            self.changes.clear()
            self.changed.notify_all()

    def end_watches(self) -> None:
        """Ends the answers to all watches, as after their time."""
        with self.changed:
            self.is_closing = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self.watches, 10)
            self.is_closing = False

    def _change(self, path: str, kind: str, one: Object) -> None:
        self.version += 1
        one["metadata"] = {**one["metadata"], "resourceVersion": str(self.version)}
        self.changes.append((self.version, path, kind, json.loads(json.dumps(one))))
        self.changed.notify_all()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Serving

    def log_message(self, *_: object) -> None:
        """Prints nothing."""

    def do_GET(self) -> None:
        api = self.server.api
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        api.asked.append((parts.path, query, {key.lower(): value for key, value in self.headers.items()}))
        if api.refuses is not None:
            self._answer(api.refuses, {"kind": "Status", "code": api.refuses, "message": SECRET})
        elif self.headers["authorization"] != f"Bearer {api.token}":
            self._answer(401, {"kind": "Status", "code": 401})
        elif parts.path in api.absent | api.forbidden:
            status = 404 if parts.path in api.absent else 403
            self._answer(status, {"kind": "Status", "code": status})
        elif query.get("watch") == "true":
            self._watch(parts.path, query)
        elif "limit" not in query:
            self._get(*parts.path.rsplit("/", 1))
        else:
            self._list(parts.path, query)

    def _get(self, path: str, name: str) -> None:
        one = self.server.api.objects.get(path, {}).get(name)
        self._answer(404 if one is None else 200, one or {"kind": "Status", "code": 404, "message": SECRET})

    def _list(self, path: str, query: dict[str, str]) -> None:
        api = self.server.api
        with api.changed:
            found = [one for one in api.objects.get(path, {}).values() if self._selected(one, query)]
            version = str(api.version)
        limit, start = int(query["limit"]), int(query.get("continue", "0"))
        more = str(start + limit) if len(found) > start + limit else ""
        metadata = {"resourceVersion": version, **({"continue": more} if more else {})}
        self._answer(200, {"metadata": metadata, "items": found[start : start + limit]})

    def _watch(self, path: str, query: dict[str, str]) -> None:
        api, at = self.server.api, int(query["resourceVersion"])
        self.send_response(200)
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        with api.changed:
            api.watches += 1
        try:
            for kind, one in self._changes(path, query, at):
                line = json.dumps({"type": kind, "object": one}, ensure_ascii=False)  # as Go writes them
                self.wfile.write(line.encode() + b"\n")
                self.wfile.flush()
        except OSError:
            pass  # the client has left
        finally:
            with api.changed:
                api.watches -= 1
                api.changed.notify_all()

    def _changes(self, path: str, query: dict[str, str], at: int) -> Iterator[tuple[str, Object]]:
        api = self.server.api
        while True:
            with api.changed:
                if at < api.oldest:
                    yield "ERROR", {"kind": "Status", "code": 410, "reason": "Expired"}
                    return
                found = [change for change in api.changes if change[0] > at and change[1] == path]
                if not found and not api.is_closing:
                    api.changed.wait(0.2)
                    if not self.server.is_open:
                        return
                    continue
            at = found[-1][0] if found else at
            for _, _, kind, one in found:
                if kind == "BOOKMARK" or self._selected(one, query):
                    yield kind, one
            if not found:
                return

    def _selected(self, one: Object, query: dict[str, str]) -> bool:
        field, _, value = query.get("fieldSelector", "").partition("=")
        return not field or one.get("spec", {}).get(field.removeprefix("spec.")) == value

    def _answer(self, status: int, content: Object) -> None:
        raw = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)


class Serving(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: Api, port: int = 0) -> None:
        self.api = api
        self.is_open = True
        super().__init__(("127.0.0.1", port), Answers)

    def shutdown(self) -> None:
        self.is_open = False
        super().shutdown()


@contextmanager
def serving(api: Api, port: int = 0) -> Iterator[str]:
    """Serves it on loopback; its URL."""
    with served(Serving(api, port)) as found:
        yield f"http://127.0.0.1:{found}"


def account(folder: Path, token: str = "a") -> Path:
    """The files of a service account."""
    (folder / "token").write_text(token + "\n")
    (folder / "namespace").write_text("spectap\n")
    return folder


def access_to(url: str, folder: Path) -> Access:
    return Access(url, account(folder))


def namespace(name: str, **annotations: str) -> Object:
    return {"metadata": {"name": name, "annotations": annotations}}


def pod(
    name: str = "cart-7d4b9c6f5-abcde",
    uid: str = UID,
    node: str = "node-1",
    space: str = "shop",
    annotations: dict[str, str] | None = None,
    ip: str = "10.1.0.5",
    container: str = "c" * 64,
) -> Object:
    """A pod of a Deployment, as the API describes it, with secrets where people put them."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": space,
            "uid": uid,
            "creationTimestamp": "2026-11-23T12:00:00Z",
            "labels": {
                "app.kubernetes.io/name": "cart",
                "helm.sh/chart": "shop-1.2.3",
                "pod-template-hash": "7d4b9c6f5",
                "token": SECRET,
            },
            "annotations": {"note": SECRET, "meta.helm.sh/release-name": "shop", **(annotations or {})},
            "ownerReferences": [
                {"kind": "ReplicaSet", "name": "cart-7d4b9c6f5", "controller": True, "uid": "u"}
            ],
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "web", "env": [{"name": "PASSWORD", "value": SECRET}], "args": [SECRET]}],
        },
        "status": {
            "phase": "Running",
            "message": SECRET,
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "containerStatuses": [
                {
                    "name": "web",
                    "image": "registry.test/cart:1.2",
                    "imageID": f"registry.test/cart@sha256:{'d' * 64}",
                    "containerID": f"containerd://{container}",
                }
            ],
        },
    }


def service(
    name: str,
    *ips: str,
    space: str = "shop",
    status: Object | None = None,
    ports: tuple[Object, ...] = (),
    annotations: dict[str, str] | None = None,
) -> Object:
    """A Service with these cluster addresses."""
    meta = {"name": name, "namespace": space, "creationTimestamp": "2026-11-23T12:00:00Z"}
    return {
        "metadata": {**meta, "annotations": annotations or {}},
        "spec": {"clusterIPs": [*ips], "selector": {"a": SECRET}, "ports": [*ports]},
        "status": status or {},
    }


def endpoints(
    name: str, *ips: str, space: str = "shop", part: str = "1", ready: bool = True, **ports: int
) -> Object:
    """A slice of a Service's endpoints; `ports` are those of its pods, by name."""
    meta = {"name": f"{name}-{part}", "namespace": space, "labels": {"kubernetes.io/service-name": name}}
    return {
        "metadata": meta,
        "addressType": "IPv4",
        "endpoints": [{"addresses": [ip], "conditions": {"ready": ready}} for ip in ips],
        "ports": [{"name": port, "port": number} for port, number in ports.items()],
    }


def ingress(name: str, host: str, created: str = "2026-11-23T12:00:00Z", **paths: str) -> Object:
    """An Ingress that leads a host to these Services by path; "_" in a keyword is "/"."""
    meta = {"name": name, "namespace": "shop", "creationTimestamp": created}
    found = [
        {
            "path": path.replace("_", "/"),
            "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": 80}}},
        }
        for path, service in paths.items()
    ]
    rule = {"host": host, "http": {"paths": found}}
    return {"metadata": meta, "spec": {"ingressClassName": "nginx", "rules": [rule], "tls": []}}


def http_route(
    name: str, *hosts: str, backends: list[Object], path: str = "/", created: str = "2026-11-23T12:00:00Z"
) -> Object:
    """An HTTPRoute with one rule."""
    return {
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": created},
        "spec": {
            "parentRefs": [{"name": "gateway"}],
            "hostnames": [*hosts],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": path}}],
                    "filters": [{"type": "RequestHeaderModifier"}],
                    "backendRefs": backends,
                }
            ],
        },
        "status": {"parents": []},
    }


def attached(route: Object, *parents: Object, accepted: bool = True) -> Object:
    """The same HTTPRoute without host names, accepted or not by the controllers of these Gateways."""
    conditions = [{"type": "Accepted", "status": str(accepted)}, {"type": "ResolvedRefs", "status": "True"}]
    status = {"parents": [{"parentRef": one, "conditions": conditions} for one in parents]}
    return {**route, "spec": {**route["spec"], "hostnames": [], "parentRefs": [*parents]}, "status": status}


def gateway(name: str, *listeners: Object, space: str = "shop") -> Object:
    return {
        "metadata": {"name": name, "namespace": space},
        "spec": {"gatewayClassName": "any", "listeners": [*listeners]},
    }


def listener(name: str, host: str = "", allowed: str | None = None, port: int = 80) -> Object:
    """`allowed` says which namespaces' routes it takes."""
    found: Object = {"name": name, "port": port, "protocol": "HTTP"}
    if host:
        found["hostname"] = host
    if allowed:
        found["allowedRoutes"] = {"namespaces": {"from": allowed}}
    return found


def grant(space: str, source: str, to: Object, kind: str = "HTTPRoute") -> Object:
    """A ReferenceGrant of a namespace to another one's."""
    allowed = {"group": "gateway.networking.k8s.io", "kind": kind, "namespace": source}
    return {"metadata": {"name": "any", "namespace": space}, "spec": {"from": [allowed], "to": [to]}}
