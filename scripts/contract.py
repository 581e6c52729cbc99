#!/usr/bin/env python3
"""Takes out of the Engine API's specification what the contract tests ask by.

    scripts/contract.py engine-api-v1.55.yaml

writes crates/testkit/tests/contract/operations.txt (operations, their statuses and arguments) and
schemas.json (the shape of every answer). Only names and types are taken. Needs python3-yaml.
"""

import json
import pathlib
import sys

import yaml

INTO = pathlib.Path(__file__).parent.parent / "crates/testkit/tests/contract"
VERBS = ("get", "post", "put", "delete", "head")
KINDS = {"integer": "int", "boolean": "bool", "array": "list"}
HEAD = """\
# The operations of the Engine API 1.55: method, path, statuses, arguments of the query with their types;
# `!` marks what must be there, `body` a body.
"""


def operations(spec):
    for path, item in spec["paths"].items():
        for verb in item:
            if verb in VERBS:
                yield verb.upper(), path, item[verb]


def line(method, path, operation):
    words = [method, path, ",".join(str(status) for status in operation["responses"])]
    for parameter in operation.get("parameters", []):
        needed = "!" if parameter.get("required") else ""
        if parameter["in"] == "query":
            kind = KINDS.get(parameter.get("type"), "text")
            words.append(f"{parameter['name']}:{kind}{needed}")
        if parameter["in"] == "body":
            words.append(f"body{needed}")
    return " ".join(words)


def shape(schema):
    """Names and types, without words."""
    out = {}
    if "$ref" in schema:
        return {"$ref": schema["$ref"].removeprefix("#/definitions/")}
    for key in ("type", "enum", "required"):
        if key in schema:
            out[key] = schema[key]
    if schema.get("x-nullable") or schema.get("nullable"):
        out["null"] = True
    if "properties" in schema:
        out["properties"] = {name: shape(of) for name, of in schema["properties"].items()}
    if "items" in schema:
        out["items"] = shape(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        out["values"] = shape(schema["additionalProperties"])
    if "allOf" in schema:
        out["all"] = [shape(part) for part in schema["allOf"]]
    return out


def references(schema):
    if isinstance(schema, dict):
        if "$ref" in schema and isinstance(schema["$ref"], str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    if isinstance(schema, list):
        for value in schema:
            yield from references(value)


def main():
    spec = yaml.safe_load(pathlib.Path(sys.argv[1]).read_text())
    lines, answers = [], {}
    for method, path, operation in operations(spec):
        lines.append(line(method, path, operation))
        for status, response in operation["responses"].items():
            if "schema" in response:
                answers[f"{method} {path} {status}"] = shape(response["schema"])
    (INTO / "operations.txt").write_text(HEAD + "\n".join(lines) + "\n")
    definitions, wanted = {}, list(references(answers))
    while wanted:
        name = wanted.pop()
        if name not in definitions:
            definitions[name] = shape(spec["definitions"][name])
            wanted.extend(references(definitions[name]))
    parts = []
    for title, table in (("answers", answers), ("definitions", dict(sorted(definitions.items())))):
        rows = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in table.items())
        parts.append(f"{json.dumps(title)}: {{\n" + ",\n".join(rows) + "\n}")
    (INTO / "schemas.json").write_text("{" + ",\n".join(parts) + "}\n")


main()
