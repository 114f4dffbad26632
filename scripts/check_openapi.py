#!/usr/bin/env python3
"""Holds recorded answers of the server against api/openapi.yaml.

    check_openapi.py OPENAPI RECORDS

RECORDS has a JSON object a line: an answer ({method, path, request, status, content_type, body}) or the routes of a
router ({routes: [[method, pattern], ...]}). Prints a line for each answer that breaks the contract, each route that the
contract does not name, and each reference in it that leads nowhere; exits 1 when there is one, and 77 when the Python
packages yaml and jsonschema are missing.
"""

import json
import re
import sys

try:
    import jsonschema
    import yaml
except ImportError as error:
    print(f"not checked: {error}")
    sys.exit(77)

METHODS = ("get", "head", "post", "put", "patch", "delete")
MAX_SHOWN = 400


def make_validator(document):
    """A function from a JSON pointer into the document to a validator of the schema there."""
    try:
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT202012
        registry = Registry().with_resource("urn:openapi", Resource(contents=document, specification=DRAFT202012))
        return lambda pointer: jsonschema.Draft202012Validator({"$ref": "urn:openapi#" + pointer}, registry=registry)
    except ImportError:
        resolver = jsonschema.RefResolver("urn:openapi", document)
        return lambda pointer: jsonschema.Draft202012Validator({"$ref": "urn:openapi#" + pointer}, resolver=resolver)


def escape(part):
    return part.replace("~", "~0").replace("/", "~1")


def resolve(document, reference):
    node = document
    for part in reference.lstrip("#/").split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def path_pattern(template):
    """Names take one part, or several where no longer path fits better."""
    literal = re.split(r"\{[^}]*\}", template)
    return re.compile("^" + "(.+)".join(re.escape(part) for part in literal) + "$")


class Contract:
    def __init__(self, document):
        self.document = document
        self.validator = make_validator(document)
        self.validators = {}
        # Literal paths before those with names.
        self.paths = sorted(document["paths"], key=lambda path: (path.count("{"), -len(path)))
        self.patterns = {path: path_pattern(path) for path in self.paths}

    def operation(self, method, path):
        """(pointer, operation) of a request, or None."""
        for template in self.paths:
            if self.patterns[template].match(path) and method in self.document["paths"][template]:
                return f"/paths/{escape(template)}/{method}", self.document["paths"][template][method]
        return None

    def errors(self, pointer, value):
        if pointer not in self.validators:
            self.validators[pointer] = self.validator(pointer)
        error = jsonschema.exceptions.best_match(self.validators[pointer].iter_errors(value))
        if error is None:
            return []
        place = "/".join(str(part) for part in error.absolute_path)
        return [f"at '{place}': {error.message[:MAX_SHOWN]}"]

    def schema_pointer(self, pointer, operation, status, content_type):
        """Where the schema of an answer stands; None when the contract does not know such an answer."""
        key = str(status) if str(status) in operation["responses"] else "default"
        if key not in operation["responses"]:
            return None
        answer, place = operation["responses"][key], f"{pointer}/responses/{key}"
        if "$ref" in answer:
            place = answer["$ref"].lstrip("#")
            answer = resolve(self.document, answer["$ref"])
        if not content_type and "content" not in answer:
            return ""
        if content_type not in answer.get("content", {}):
            return None
        return f"{place}/content/{escape(content_type)}/schema"

    def check(self, record):
        method, path, status = record["method"].lower(), record["path"].split("?")[0], record["status"]
        found = self.operation(method, path)
        if found is None:
            return [] if status in (403, 404, 405) else ["the contract does not name this route"]
        pointer, operation = found
        problems = []
        content_type = record["content_type"].split(";")[0]
        place = self.schema_pointer(pointer, operation, status, content_type)
        if place is None:
            problems.append(f"the contract knows no answer {status} of type '{content_type}'")
        elif content_type == "text/event-stream":
            for data in re.findall(r"^data: (.*)$", record["body"], re.M):
                problems += self.errors(place, data if data == "[DONE]" else json.loads(data))
        elif content_type == "application/x-ndjson":
            for line in record["body"].splitlines():
                problems += self.errors(place, json.loads(line))
        elif content_type == "application/json":
            problems += self.errors(place, json.loads(record["body"]))
        # A request that was taken is one that the contract allows.
        body = operation.get("requestBody", {}).get("content", {})
        if status == 200 and "application/json" in body and record["request"]:
            where = f"{pointer}/requestBody/content/application~1json/schema"
            problems += ["request " + text for text in self.errors(where, json.loads(record["request"]))]
        return problems

    def check_routes(self, routes):
        problems = []
        for method, pattern in routes:
            template = re.sub(r"\*\}", "}", pattern)
            if method.lower() not in self.document["paths"].get(template, {}):
                problems.append(f"{method} {template} is not in the contract")
        return problems


def check_document(document):
    problems = []
    for reference in sorted(set(references(document))):
        try:
            resolve(document, reference)
        except (KeyError, TypeError):
            problems.append(f"{reference} leads nowhere")
    names = [operation["operationId"] for path in document["paths"].values()
             for method, operation in path.items() if method in METHODS]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"operationId {name} comes twice")
    return problems


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        document = yaml.safe_load(file)
    contract = Contract(document)
    problems = check_document(document)
    num_answers = 0
    with open(sys.argv[2], encoding="utf-8") as file:
        for line in file:
            record = json.loads(line)
            if "routes" in record:
                problems += contract.check_routes(record["routes"])
                continue
            num_answers += 1
            for problem in contract.check(record):
                problems.append(f"{record['method']} {record['path']} -> {record['status']}: {problem}")
    for problem in dict.fromkeys(problems):
        print(problem)
    print(f"{num_answers} answers, {len(set(problems))} problems")
    sys.exit(1 if problems or num_answers == 0 else 0)


if __name__ == "__main__":
    main()
