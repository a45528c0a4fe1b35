"""The page at /docs: every operation of the OpenAPI document as plain HTML, without scripts or the internet."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

import orjson

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a2027}
h1{font-size:1.6rem}h2{margin-top:2.2rem;text-transform:capitalize;border-bottom:1px solid #cfd6dd}
details{border:1px solid #cfd6dd;border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4rem}code,pre{font-family:ui-monospace,monospace}
pre{background:#f3f5f7;padding:.6rem;overflow:auto;font-size:.85rem}table{border-collapse:collapse;width:100%}
td,th{text-align:left;vertical-align:top;padding:.2rem .6rem .2rem 0;border-bottom:1px solid #e6eaee;font-size:.9rem}
"""

POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)
"""Nothing but this very style may load."""

_METHODS: Final = ("get", "post", "patch", "put", "delete")


def render(document: Mapping[str, Any]) -> str:
    """Write the page."""
    sections: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in _METHODS:
            if method in operations:
                operation = operations[method]
                sections.setdefault(operation.get("tags", ["other"])[0], []).append(
                    _operation(document, method, path, operation)
                )
    info = document["info"]
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(parts)}" for tag, parts in sections.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>{body}</body></html>'
    )


def _operation(document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]) -> str:
    parts = [f"<p>{escape(operation.get('description', ''))}</p>"]
    parameters = operation.get("parameters", [])
    if parameters:
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
            f"<td>{escape(each.get('description', ''))}</td></tr>"
            for each in parameters
        )
        parts.append(f"<table><tr><th>parameter</th><th>in</th><th></th></tr>{rows}</table>")
    asked = _example(document, operation.get("requestBody", {}))
    if asked:
        parts.append(f"<p>Body</p><pre>{escape(asked)}</pre>")
    for status, answer in operation.get("responses", {}).items():
        shown = _example(document, answer) if str(status).startswith("2") else ""
        parts.append(f"<p><b>{escape(str(status))}</b> {escape(answer.get('description', ''))}</p>")
        if shown:
            parts.append(f"<pre>{escape(shown)}</pre>")
    head = f"<b>{method.upper()}</b> <code>{escape(path)}</code>"
    return f"<details><summary>{head}</summary>{''.join(parts)}</details>"


def _example(document: Mapping[str, Any], holder: Mapping[str, Any]) -> str:
    """The example of a body's schema, if it has one."""
    schema = holder.get("content", {}).get("application/json", {}).get("schema", {})
    for choice in (schema, *schema.get("anyOf", ())):
        name = str(choice.get("$ref", "")).rpartition("/")[2]
        example = document["components"]["schemas"].get(name, {}).get("example")
        if example is not None:
            return orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()
    return ""
