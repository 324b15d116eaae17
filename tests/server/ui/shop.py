"""A server with data to show: a shop with a specification, its calls, and content that must never run."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace

from agent.wire import (
    Body,
    Consumer,
    Endpoint,
    Process,
    Record,
    Response,
    SubOperation,
    WebSocket,
    WebSocketHalf,
    WebSocketText,
)
from tests.server.records import both, record
from tests.server.running import Client, wait_for

NAME = "canary"  # set on `window` by a script that runs
SENT = WebSocketHalf(1, 1, 0, 0, 0, 0, 2, 0)
CANARY = f"\"'><img src=x onerror={NAME}=1><script>{NAME}=1</script>{{{{7777*7777}}}}"
SPEC: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Shop", "version": "1.2"},
    "paths": {
        "/users/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": {
                "operationId": "getUser",
                "responses": {
                    "200": {
                        "description": "The user",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}},
                    }
                },
            },
        },
        "/carts": {"get": {"deprecated": True, "responses": {"200": {"description": "Carts"}}}},
    },
    "components": {
        "schemas": {
            "User": {
                "type": "object",
                "required": ["id"],
                "properties": {"id": {"type": "string"}, "name": {"type": "string"}},
            }
        },
        "securitySchemes": {"key": {"type": "apiKey", "in": "header", "name": "X-Key"}},
    },
}


def describe(client: Client, document: Any = SPEC, path: str = "/specs?host=shop.local:8080") -> None:
    """Uploads a specification."""
    method = "PUT" if path.startswith("/apis/") else "POST"
    answer = client.http.request(method, f"/api/v1{path}", content=json.dumps(document))
    assert answer.is_success, answer.text


def only_api(client: Client) -> str:
    (api,) = client.items("/apis")
    return str(api["id"])


def filled(client: Client) -> str:
    """Conforming, deviating, undocumented and deprecated calls, all validated. Returns the API's id."""
    client.send(*both(0, "/users/1"), *both(1, "/users/2?colour=red"), *both(2, "/carts"), *both(3, "/admin"))
    api = only_api(client)
    describe(client, path=f"/apis/{api}/spec")
    wait_for(lambda: len(client.items("/deviations")) == 2, "deviations")
    return api


def hostile(ordinal: int = 0, text: str = CANARY) -> list[Record]:
    """Both views of an exchange; each field from outside contains `text`."""
    raw = text.encode()
    body = Body(len(raw), raw, "complete")
    process = Process(7, text[:40], "boot-1", 5, f"/bin/{text}", text, text, text, text)
    end = Endpoint("127.0.0.1", 8080, 1, text, text, text, {text: text})
    return [
        replace(
            plain,
            id=f"{plain.side}{ordinal}{text}".replace("/", "")[:128],
            node=text,
            cluster=text,
            connection=f"{plain.side}{ordinal}{text}"[:128],
            client=replace(end, port=40000),
            server=end,
            process=process,
            request=replace(
                plain.request,
                method=text,
                scheme=text,
                authority=raw,
                path=b"/" + raw,
                query=raw,
                headers=((b"host", raw), (raw, raw)),
                trailers=((raw, raw),),
                body=body,
                content_type=text,
            ),
            response=Response(200, ((raw, raw),), ((raw, raw),), body, f"application/json{text}"),
            consumer=Consumer(text, text, text, text, text, text, {text: text}),
            completeness=text,
            upgraded=text,
            error=text,
            redactions={text: 1},
            sub_operations=(SubOperation(text[:128], text[:128], text, True),),
            websocket=WebSocket(SENT, SENT, 1000, "client", 5, (WebSocketText("client", raw, 5),)),
        )
        for plain in (record(ordinal, "client"), record(ordinal, "server"))
        if plain.request is not None
    ]


def hostile_spec(elsewhere: str) -> dict[str, Any]:
    """A specification that tries to run scripts, to fetch from `elsewhere`, and to link there."""
    markdown = (
        f"{CANARY} <iframe srcdoc='<script>parent.{NAME}=1</script>'></iframe>"
        f" <svg onload={NAME}=1> <a href='javascript:{NAME}=1' id=trap>here</a> [there](javascript:{NAME}=1)"
        f" ![seen]({elsewhere}/image) <style>@import '{elsewhere}/style';</style>"
        f" <form action='{elsewhere}/form'><input name=secret><button>go</button></form>"
    )
    operation = {
        "summary": CANARY,
        "description": markdown,
        "operationId": CANARY,
        "tags": [CANARY],
        "externalDocs": {"url": f"javascript:{NAME}=1", "description": CANARY},
        "parameters": [
            {"name": CANARY, "in": "query", "description": markdown, "schema": {"type": "string"}}
        ],
        "responses": {
            "200": {
                "description": markdown,
                "content": {"application/json": {"schema": {"type": "object", "description": markdown}}},
            }
        },
        "x-far": {"$ref": f"{elsewhere}/schema.json"},
        "x-near": {"$ref": "/api/v1/agents"},
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": CANARY,
            "version": CANARY,
            "description": markdown,
            "termsOfService": f"javascript:{NAME}=1",
            "contact": {"name": CANARY, "url": f"javascript:{NAME}=1", "email": CANARY},
            "license": {"name": CANARY, "url": f"javascript:{NAME}=1"},
        },
        "servers": [{"url": "/", "description": CANARY}],
        "paths": {"/users/{id}": {"get": operation}},
    }
