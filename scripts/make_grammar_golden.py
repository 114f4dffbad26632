#!/usr/bin/env python3
"""Makes tests/fixtures/grammar/: what other software says about schemas and regular expressions.

schemas.json: schemas, documents, and whether the package jsonschema finds them valid (draft 2020-12, formats checked).
Documents keep the order of the declared properties. regexes.json: expressions, texts, and what Python's re.fullmatch
says. Formats whose checker only looks for a sign (email) are left out. Needs: pip install 'jsonschema[format]'.
"""

import itertools
import json
import pathlib
import random
import re

import jsonschema

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "grammar"

VALUES = [None, True, False, 0, 1, -1, 2, 3, 5, 7, 10, 11, 12, 99, 100, 101, 1000, -5, -10, -11, 0.5, -0.5, 1.5, 2.25, 9.99, 10.01,
          99.99, 3.14159, -2.5, 0.1, 0.01, 0.30, "", "a", "b", "ab", "abc", "abcd", "hello world", "été", "日本語", "a\"b", "a\\b",
          "line\nbreak", "tab\t", "\u0001", "😀", "foo123", "123", "ABC-123", "2024-02-29", "2023-02-29", "x_y", "foo", "bar", "baz",
          [], [1], [1, 2], [1, 2, 3], ["a"], ["a", 1], ["a", 1, True], [[1]], [None], [1, "a"], [1.5], [{}],
          {}, {"a": 1}, {"b": 2}, {"a": 1, "b": 2}, {"a": "x"}, {"a": 1, "b": "x"}, {"a": 1, "b": 2, "c": 3}, {"c": 3},
          {"a": {"a": 1}}, {"a": None}, {"x_1": 1}, {"x_1": "s"}, {"kind": "cat", "lives": 9}, {"kind": "dog", "bark": True},
          {"kind": "dog", "lives": 9}, {"a\"b": 1}, {"aa": 1}, {"": 1}, {"a": [1, 2]}, {"b": 2, "x_1": 1}, {"name": "n", "next": None},
          {"name": "n", "next": {"name": "m", "next": None}}, {"name": "n", "next": {"name": 1}}]

SCHEMAS = [
    True, False, {},
    {"type": "null"}, {"type": "boolean"}, {"type": "integer"}, {"type": "number"}, {"type": "string"}, {"type": "array"},
    {"type": "object"}, {"type": ["string", "null"]}, {"type": ["integer", "array"]},
    {"enum": [1, "a", None, {"a": 1}, [1, 2]]}, {"const": "a\"b"}, {"const": {"a": 1, "b": 2}}, {"type": "string", "enum": ["a", 1]},
    {"minimum": 3}, {"maximum": 10}, {"exclusiveMinimum": 10, "exclusiveMaximum": 100}, {"minimum": -5, "maximum": 10},
    {"type": "integer", "minimum": -5, "maximum": 99}, {"type": "integer", "minimum": 10}, {"type": "integer", "maximum": -5},
    {"type": "number", "minimum": -2.5, "maximum": 9.99}, {"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": 0.5},
    {"type": "number", "minimum": 0.1}, {"type": "integer", "exclusiveMinimum": 0.5, "maximum": 100.5},
    {"type": "integer", "multipleOf": 5}, {"type": "number", "multipleOf": 0.01}, {"type": "number", "multipleOf": 0.5, "minimum": 0},
    {"type": "integer", "multipleOf": 3, "minimum": 5, "maximum": 99},
    {"type": "string", "minLength": 2}, {"type": "string", "maxLength": 2}, {"type": "string", "minLength": 1, "maxLength": 3},
    {"type": "string", "pattern": "^[a-c]+$"}, {"type": "string", "pattern": "b"}, {"type": "string", "pattern": "^a|b$"},
    {"type": "string", "pattern": "^[^\"]*$"}, {"type": "string", "pattern": "^.{2,4}$", "minLength": 3},
    {"type": "string", "pattern": "^\\w+\\d{3}$"}, {"type": "string", "pattern": "^(foo|ba[rz])$"},
    {"type": "string", "pattern": "[\\u00e0-\\u00ff]"}, {"type": "string", "pattern": "^\\S+$", "maxLength": 3},
    {"type": "string", "format": "date"},
    {"type": "array", "items": {"type": "integer"}}, {"type": "array", "minItems": 2}, {"type": "array", "maxItems": 1},
    {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}, {"type": "array", "prefixItems": [{"type": "string"}]},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": {"type": "boolean"}, "minItems": 2},
    {"type": "array", "items": False}, {"type": "array", "prefixItems": [True, False]},
    {"type": "object", "properties": {"a": {"type": "integer"}}},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "additionalProperties": False},
    {"type": "object", "properties": {"a": True, "b": True}, "required": ["b"], "additionalProperties": False},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "integer"}},
    {"type": "object", "additionalProperties": {"type": "string"}}, {"type": "object", "required": ["a"]},
    {"type": "object", "patternProperties": {"^x_": {"type": "integer"}}},
    {"type": "object", "patternProperties": {"^x_": {"type": "integer"}}, "additionalProperties": False},
    {"type": "object", "properties": {"b": True}, "patternProperties": {"^x_": {"type": "integer"}, "b": {"type": "integer"}},
     "additionalProperties": {"type": "null"}},
    {"type": "object", "minProperties": 1}, {"type": "object", "maxProperties": 1}, {"type": "object", "minProperties": 2, "maxProperties": 2},
    {"type": "object", "properties": {"a": True, "b": True, "c": True}, "minProperties": 2, "additionalProperties": False},
    {"type": "object", "propertyNames": {"pattern": "^[ab]$"}}, {"type": "object", "propertyNames": {"maxLength": 1}, "properties": {"aa": True}},
    {"type": "object", "properties": {"a": False}}, {"type": "object", "properties": {"a": True}, "unevaluatedProperties": False},
    {"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}]}, {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"type": "object", "oneOf": [{"properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind"], "additionalProperties": False},
                                 {"properties": {"kind": {"const": "dog"}, "bark": {"type": "boolean"}}, "required": ["kind"], "additionalProperties": False}]},
    {"allOf": [{"type": "integer"}, {"minimum": 3}, {"maximum": 12}]},
    {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]},
    {"allOf": [{"anyOf": [{"type": "string"}, {"type": "integer"}]}, {"anyOf": [{"maximum": 5, "type": "integer"}, {"minLength": 3, "type": "string"}]}]},
    {"properties": {"a": {"minimum": 1}}, "allOf": [{"properties": {"a": {"type": "integer", "maximum": 5}}}], "type": "object"},
    {"$ref": "#/$defs/p", "$defs": {"p": {"type": "integer", "minimum": 2}}},
    {"$ref": "#/$defs/p", "maximum": 10, "$defs": {"p": {"type": "integer", "minimum": 2}}},
    {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"name": {"type": "string"},
     "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["name", "next"], "additionalProperties": False}}},
    {"type": "array", "items": {"$ref": "#"}}, {"type": ["array", "integer"], "items": {"$ref": "#"}},
]

FORMATS = {
    "date": ["2024-02-29", "2023-02-29", "1900-02-29", "2000-02-29", "2024-13-01", "2024-04-31", "2024-4-3", "2024-12-31"],
    "time": ["12:00:00Z", "23:59:59.5+01:00", "24:00:00Z", "12:00:00", "1:00:00Z", "12:60:00Z", "12:00:00-00:30"],
    "date-time": ["2024-02-29T12:00:00Z", "2024-02-30T12:00:00Z", "2024-02-29 12:00:00Z", "2024-02-29T12:00:00.123+02:00", "2024-02-29"],
    "uuid": ["123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "123E4567-E89B-12D3-A456-426614174000", "x"],
    "ipv4": ["1.2.3.4", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "0.0.0.0"],
    "ipv6": ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8:9", "1::2::3", "::ffff:1.2.3.4",
             "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "12345::", "fe80::1", "1:2", "2001:db8::8a2e:370:7334", "1:2:3:4::5:6:7:8"],
}

REGEXES = ["abc", "a*b+c?", "(ab|cd)*", "[a-z]+", "[^a-z]+", "a{2}", "a{2,}", "a{1,3}b{0,2}", r"\d+\.\d*", r"\w+@\w+\.com", r"[\d\-x]+",
           r"(?:a|b){2,3}?", r"^abc$", r"^a|b$", r"(^a|b)c", r"a$|bc", r"\s*x\s*", r"[\s\S]{2}", r".", "..", r"a.c", r"\x41\u00e9", "é+|日本",
           r"(?P<year>\d{4})-(?P<m>\d\d)", "", "a|", "(a|b|)c", r"[\]a]b", r"\.\*\?", r"(a*)*b", r"(a|a)*", r"(x+x+)+y",
           r"[a-c-]+", r"\\n", r"\n|\t", r"(ab?c)+d{0}", "😀{2}", r"\Aab\Z", r"a^b", r"[^\d\s]+", r"(a|ab)(c|bcd)(d*)"]
PIECES = ["a", "b", "c", "ab", "abc", "x", "xx", "y", "d", "1", "12", "2024", "-", ".", "@", ".com", "é", "日本", "😀", " ", "\n", "\t", "A",
          "]", "*", "?", "\\", "n", "cd", "bcd", "Z"]


def schema_cases():
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    for schema in SCHEMAS:
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        good = [v for v in VALUES if validator.is_valid(v)]
        bad = [v for v in VALUES if not validator.is_valid(v)]
        yield {"schema": schema, "valid": good, "invalid": bad}
    for name, texts in FORMATS.items():
        schema = {"type": "string", "format": name}
        validator = jsonschema.Draft202012Validator(schema, format_checker=checker)
        assert name in checker.checkers, name
        yield {"schema": schema, "valid": [t for t in texts if validator.is_valid(t)], "invalid": [t for t in texts if not validator.is_valid(t)]}


def bounded_number_cases(rng):
    """Random bounds and numbers around them."""
    for _ in range(60):
        digits = rng.choice([0, 0, 1, 2])
        low, high = sorted(round(rng.uniform(-1, 1) * 10 ** rng.randint(0, 4), digits) for _ in range(2))
        if digits == 0:
            low, high = int(low), int(high)
        schema = {"type": rng.choice(["number", "integer"]), rng.choice(["minimum", "exclusiveMinimum"]): low,
                  rng.choice(["maximum", "exclusiveMaximum"]): high}
        validator = jsonschema.Draft202012Validator(schema)
        values = set()
        for base, step in itertools.product([low, high, 0], [0, 1, -1, 10, -10, 0.5, -0.5, 0.01, -0.01, 0.001, 100]):
            value = round(base + step, 3)
            values.add(int(value) if value == int(value) else value)
        values = sorted(values)
        yield {"schema": schema, "valid": [v for v in values if validator.is_valid(v)], "invalid": [v for v in values if not validator.is_valid(v)]}


def regex_cases(rng):
    for source in REGEXES:
        compiled = re.compile(source, re.ASCII if r"\d" in source or r"\w" in source else 0)
        texts = {""} | set(PIECES) | {"".join(rng.choice(PIECES) for _ in range(rng.randint(2, 6))) for _ in range(60)}
        texts |= {"aaab", "abcd", "abab", "xxxxxy", "a@b.com", "1.5", "aab", "ababcd", "axc", "2024-12", "abc"}
        texts = sorted(texts)
        yield {"regex": source, "match": [t for t in texts if compiled.fullmatch(t)], "no_match": [t for t in texts if not compiled.fullmatch(t)]}


def write(name, cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (FOLDER / name).write_text("[\n" + lines + "\n]\n", encoding="utf-8")


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    rng = random.Random(7)
    write("schemas.json", list(schema_cases()) + list(bounded_number_cases(rng)))
    write("regexes.json", list(regex_cases(rng)))


if __name__ == "__main__":
    main()
