#!/usr/bin/env python3
"""Makes tests/fixtures/template/{language,sprout}.json: what Jinja2 with Hugging Face's settings renders.

Needs: pip install jinja2 (3.1.6). Usage: make_template_golden.py [SPROUT_MODELS_FOLDER]
SPROUT_MODELS_FOLDER holds golden.json and sprout-28m/tokenizer_config.json.
"""

import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2026, 1, 15, 10, 30)
FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "tests" / "fixtures" / "template"

VARIABLES = {
    "name": "Sprout",
    "text": "  Hello, wörld! ÄÖÜ ß 日本 'quoted' \"double\" <b>&amp;</b>\n",
    "empty": "",
    "lines": "one\ntwo\r\n\nthree\n",
    "words": "the quick  brown\tfox jumps",
    "n": 7,
    "big": 18446744073709551615,
    "negative": -3,
    "ratio": 2.5,
    "tiny": 1e-7,
    "huge": 1e22,
    "yes": True,
    "no": False,
    "nothing": None,
    "numbers": [3, 1, 2, 10, -5],
    "mixed": ["b", "A", "c", "a", "B"],
    "nested": {"a": {"b": [1, {"c": "deep"}]}, "list": [[1, 2], [3, 4]], "items": "key named items"},
    "people": [
        {"name": "Ann", "age": 31, "city": "Oslo", "tags": ["x", "y"]},
        {"name": "bob", "age": 25, "city": "Rome", "tags": []},
        {"name": "Cid", "age": 31, "city": "oslo"},
    ],
    "tree": [{"v": 1, "kids": [{"v": 2, "kids": []}, {"v": 3, "kids": [{"v": 4, "kids": []}]}]}],
    "schema": {"type": "object", "properties": {"q": {"type": "string", "description": "a \"q\" <é>\u2028"}}, "n": [1.0, 1e100, True, None]},
}

CASES = """
plain text
{{ name }}
{{ 'a' 'b' "c" }}
{{ 'tab\\t nl\\n quote\\' hex\\x41 uni\\u00e9 big\\U0001F600 oct\\101 unknown\\q' }}
{{ 1 }} {{ 1.5 }} {{ 1e3 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e-7 }} {{ 12345678901234567890 }}
{{ n + 1 }} {{ n - 10 }} {{ n * 2 }} {{ n / 2 }} {{ n // 2 }} {{ n % 4 }} {{ n ** 2 }} {{ -n // 2 }} {{ -n % 4 }} {{ 2 ** -1 }}
{{ ratio + 1 }} {{ ratio // 1 }} {{ -ratio % 2 }} {{ tiny }} {{ huge }} {{ 1.0 }} {{ 100.0 * 3 }} {{ 1e16 }} {{ 123456789.125 }} {{ 0.1 + 0.2 }} {{ 1e15 / 3 }}
{{ big }} {{ big + 1 }} {{ 2 ** 100 }}
{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 1 ~ 2 + 3 if false else 1 ~ 2 * 3 }} {{ 2 * 3 ~ 4 }} {{ not 1 == 2 }} {{ 1 if n > 3 else 2 }} {{ 1 if n > 30 }}
{{ 'a' * 3 }} {{ 3 * 'ab' }} {{ [1, 2] * 2 }} {{ [1] + [2] }} {{ (1,) + (2, 3) }} {{ 'x' * -1 }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ 1 == 1.0 }} {{ true == 1 }} {{ '1' == 1 }} {{ none == false }} {{ 2 >= 2.0 }} {{ 3 != 4 }}
{{ 'ell' in 'hello' }} {{ 3 in numbers }} {{ 'q' not in schema }} {{ 'type' in schema }} {{ '' in '' }} {{ 1 in [] }} {{ 'x' in missing }}
{{ yes and no }} {{ yes or no }} {{ '' or 'default' }} {{ n and name }} {{ not nothing }} {{ 0 or none or [] }} {{ none and missing.x }}
{{ true }} {{ True }} {{ false }} {{ none }} {{ None }} {{ nothing }}
{{ [1, 'a', none, 2.0, true, {'k': 'v'}, (1,), ()] }}
{{ {'a': 1, 'b': [1, 2], 3: 'c', none: 0, 1.5: 2} }} {{ {} }} {{ {'a': 1,} }} {{ [1,] }}
{{ 'it\\'s' }} {{ ["it's", 'say "x"', 'both \\' "', 'back\\\\slash', 'nl\\n', '\\x00\\x7f', 'é日😀', '\\u200b'] }}
{{ text }}|{{ text | trim }}|{{ text.strip() }}|{{ text | upper }}|{{ text | lower }}|{{ text | length }}
{{ 'straße'.upper() }} {{ 'ÉCOLE'.lower() }} {{ 'hello world-foo (bar)' | title }} {{ "hello o'neil wörld".title() }} {{ 'hELLO' | capitalize }} {{ 'aBc'.swapcase() }}
{{ text[2] }} {{ text[-5:] }} {{ text[8:14] }} {{ text[::-1] }} {{ 'abcdef'[1:5:2] }} {{ 'abc'[5:] }}| {{ 'abc'[-2] }} {{ 'abc'[7] }}| {{ 'abc'[:none] }} {{ '日本語'[1:] }}
{{ numbers[1:3] }} {{ numbers[-1] }} {{ numbers[::-1] }} {{ numbers[:2] }} {{ numbers[5:] }} {{ numbers[10] }}| {{ numbers[-2:] }} {{ numbers[4:1:-2] }} {{ (1, 2, 3)[1:] }} {{ range(5)[1:3] }}
{{ nested.a.b[1].c }} {{ nested['a']['b'][0] }} {{ nested.list[1][0] }} {{ nested['items'] }} {{ nested.a['b'].1.c }} {{ nested.missing }}| {{ nested['missing'] }}|
{{ nested.items() | list | length }} {{ nested.get('zzz') }} {{ nested.get('zzz', 'd') }} {{ nested.keys() | list }} {{ schema.values() | list | length }} {{ nested.keys() }} {{ nested.a.items() }} {{ nested.list.copy() }}
{% for k, v in nested.a.items() %}{{ k }}={{ v }};{% endfor %}{% for k in schema %}{{ k }},{% endfor %}
{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.cycle('a', 'b') }}{{ loop.depth }} {% endfor %}
{% for x in numbers if x > 1 %}{{ loop.index }}/{{ loop.length }}:{{ x }}{{ ',' if not loop.last }}{% else %}none{% endfor %}
{% for x in [] %}x{% else %}empty{% endfor %}{% for x in missing %}x{% else %}undefined{% endfor %}
{% for x in numbers %}{% if x == 2 %}{% break %}{% endif %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for a, b in [[1, 2], (3, 4)] %}{{ a }}-{{ b }} {% endfor %}{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}
{% for c in 'héy' %}[{{ c }}]{% endfor %}{% for i in range(3) %}{{ i }}{% endfor %}{% for i in range(10, 0, -3) %}{{ i }} {% endfor %}
{% for node in tree recursive %}{{ node.v }}@{{ loop.depth }}({{ loop(node.kids) }}){% endfor %}
{% for x in [1, 1, 2] %}{{ loop.changed(x) }} {% endfor %}{% for i in range(2) %}{% for j in range(2) %}{{ loop.index }}{% endfor %}{% endfor %}
{% set x = 1 %}{% for i in range(3) %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}
{% set ns = namespace(total=0, found=false) %}{% for i in numbers %}{% set ns.total = ns.total + i %}{% if i == 2 and not ns.found %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.total }} {{ ns.found }} {{ ns.none }}|
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d) = [3, 4] %}{{ c }}{{ d }}{% set t = 1, 2 %}{{ t }}
{% if n > 5 %}{% set y = 'set in if' %}{% endif %}{{ y }}
{% set block %}  inner {{ name }} {% endset %}[{{ block }}]{% set up | upper | trim %} shout {% endset %}[{{ up }}]
{% macro greet(who, greeting='Hello', punct='!') %}{{ greeting }} {{ who }}{{ punct }}{% endmacro %}{{ greet('you') }} {{ greet('me', punct='?') }} {{ greet(greeting='Yo') }} {{ greet.name }} {{ greet.arguments }}
{% macro many(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ many(1, 2, 3, k=4) }}{{ many(*[5, 6], **{'z': 1}) }}
{% macro fact(k) %}{% if k <= 1 %}1{% else %}{{ k * fact(k - 1) | int }}{% endif %}{% endmacro %}{{ fact(6) }}
{% macro outer() %}{{ later }}{{ x }}{% endmacro %}{% set later = 'L' %}{% for x in [1] %}{{ outer() }}{% endfor %}
{% macro box(title) %}<{{ title }}:{{ caller('arg') }}>{% endmacro %}{% call(v) box('T') %}body {{ v }}{% endcall %}
{% call missing_macro() %}x{% endcall %}
{% filter upper | replace('L', '1') %}hello {{ name }}{% endfilter %}
{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}|{% generation %}gen{% endgeneration %}{% print name, 1 %}
{% raw %}{{ not }} {% rendered %}{% endraw %}{# comment {{ x }} #}after
{% if missing %}a{% elif missing is defined %}b{% elif n is odd %}c{% else %}d{% endif %}
{{ missing is defined }} {{ n is defined }} {{ missing is undefined }} {{ nothing is none }} {{ n is number }} {{ yes is number }} {{ yes is boolean }} {{ yes is integer }} {{ n is integer }} {{ ratio is float }}
{{ name is string }} {{ nested is mapping }} {{ numbers is sequence }} {{ name is sequence }} {{ nested is sequence }} {{ numbers is iterable }} {{ n is iterable }} {{ missing is iterable }} {{ missing is sequence }} {{ range is callable }} {{ n is callable }}
{{ n is even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }} {{ 'abc' is lower }} {{ 'ABC' is upper }} {{ n is eq 7 }} {{ n is sameas 7 }} {{ n is gt 3 }} {{ n is lessthan 3 }} {{ n is in [7] }} {{ n is not in [7] }} {{ yes is true }} {{ no is false }} {{ 1 is true }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ n is ge(7) }} {{ n is ne 7 }}
{{ n is == 7 }}
{{ 1 + 2 ~ 3 + 4 }}
{{ missing | default('d') }} {{ '' | default('d') }}| {{ '' | default('d', true) }} {{ none | d('x', boolean=true) }} {{ missing | default }}|
{{ numbers | sort }} {{ numbers | sort(reverse=true) }} {{ mixed | sort }} {{ mixed | sort(case_sensitive=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }} {{ people | sort(attribute='age,name', reverse=true) | map(attribute='name') | join(',') }}
{{ numbers | min }} {{ numbers | max }} {{ numbers | sum }} {{ people | sum(attribute='age') }} {{ people | max(attribute='age') | attr('x') }}| {{ [] | max }}| {{ mixed | min }}
{{ numbers | first }} {{ numbers | last }} {{ 'abc' | first }} {{ [] | first }}| {{ numbers | reverse | list }} {{ 'abc' | reverse }} {{ numbers | length }} {{ nested | count }} {{ missing | length }}
{{ people | map(attribute='name') | list }} {{ mixed | map('upper') | join }} {{ people | map(attribute='tags', default='none') | list }} {{ people | map(attribute='city.0') | list }} {{ ['1', '2'] | map('int') | sum }} {{ mixed | map('replace', 'a', 'z') | list }}
{{ numbers | select('gt', 1) | list }} {{ numbers | reject('odd') | list }} {{ people | selectattr('age', 'equalto', 31) | map(attribute='name') | list }} {{ people | rejectattr('tags') | map(attribute='name') | list }} {{ [0, 1, '', 'a'] | select | list }} {{ people | selectattr('tags', 'defined') | list | length }}
{% if [] | select | list %}yes{% else %}no{% endif %}{% if [] | select %}always{% endif %}
{% set g = numbers | select %}{{ g | list }}{{ g | list }}
{{ mixed | unique | list }} {{ [1, 1.0, true, 2] | unique | list }} {{ people | groupby('city') | map('first') | list }} {% for city, members in people | groupby('city') %}{{ city }}:{{ members | length }} {% endfor %}{% for g in people | groupby('age') %}{{ g.grouper }}={{ g.list | length }} {% endfor %}
{{ numbers | join(', ') }} {{ people | join('|', attribute='name') }} {{ [1, none, true] | join('-') }} {{ 'abc' | join('.') }} {{ ','.join(mixed) }}
{{ numbers | batch(2) | list }} {{ numbers | batch(2, 'x') | list }} {{ numbers | slice(3) | list }} {{ numbers | slice(2, 'f') | list }}
{{ nested.a | items | list }} {{ {'b': 1, 'A': 2, 'c': 0} | dictsort }} {{ {'b': 1, 'A': 2} | dictsort(true) }} {{ {'b': 1, 'A': 2} | dictsort(by='value', reverse=true) }} {% for k, v in {'z': 1, 'y': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}
{{ lines | indent }}|{{ lines | indent(2, true) }}|{{ lines | indent('> ', blank=true) }}|{{ 'x' | indent(width=3, first=true) }}|{{ '' | indent }}|
{{ 'a-b-c'.split('-') }} {{ 'a-b-c'.split('-', 1) }} {{ 'a-b-c'.rsplit('-', 1) }} {{ words.split() }} {{ words.split(none, 1) }} {{ '  a b '.rsplit(maxsplit=1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'aaa'.split('aa') }} {{ 'aaa'.rsplit('aa', 1) }} {{ lines.splitlines() }} {{ lines.splitlines(true) }}
{{ 'xxhixx'.strip('x') }} {{ 'xxhixx'.lstrip('x') }} {{ 'xxhixx'.rstrip('x') }} {{ ' \\u00a0 hi\\u3000'.strip() }}| {{ 'éaé'.strip('é') }} {{ 'xyhixy' | trim('xy') }}
{{ 'hello'.startswith('he') }} {{ 'hello'.endswith(('lo', 'x')) }} {{ 'hello'.startswith('l', 2) }} {{ 'hello'.find('l') }} {{ 'hello'.rfind('l') }} {{ 'héllo'.find('l') }} {{ 'hello'.find('z') }} {{ 'hello'.index('e') }} {{ 'hello'.count('l') }} {{ 'aaa'.count('') }} {{ 'hello'.find('l', 3) }}
{{ 'hello'.replace('l', 'L') }} {{ 'hello'.replace('l', 'L', 1) }} {{ 'hello' | replace('l', 'r') }} {{ 'aaa' | replace('a', 'b', 2) }} {{ 'ab'.replace('', '-') }} {{ 'ab'.replace('', '-', 2) }} {{ 'hello'.removeprefix('he') }} {{ 'hello'.removesuffix('lo') }} {{ 'a=b=c'.partition('=') }} {{ 'a=b=c'.rpartition('=') }} {{ 'a'.partition('=') }}
{{ 'a'.ljust(3) }}| {{ 'a'.rjust(3, '*') }} {{ 'ab'.center(5, '-') }} {{ 'abc'.center(6, '-') }} {{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} {{ 'a\\tb'.expandtabs(4) }} {{ 'x' | center(5) }}|
{{ 'abc'.isalpha() }} {{ 'ab1'.isalnum() }} {{ '12'.isdigit() }} {{ '²'.isdigit() }} {{ '²'.isdecimal() }} {{ '½'.isnumeric() }} {{ ' '.isspace() }} {{ ''.isspace() }} {{ 'Ab Cd'.istitle() }} {{ 'é'.isascii() }} {{ 'abc'.islower() }} {{ 'ABC1'.isupper() }}
{{ '%s is %d and %5.2f|%-5s|%05d|%x|%r|%%' % (name, n, ratio, 'a', n, 255, 'q') }} {{ '%s' % name }} {{ '%(a)s-%(b)03d' % {'a': 1, 'b': 2} }} {{ '%s %s' | format('x', 'y') }} {{ '%e %g %+d %c' % (12345.678, 0.0001, 5, 'z') }}
{{ '{} {1} {name}'.format('a') if false else 'skipped' }} {{ '{} {}'.format('a', 'b') }} {{ '{1}{0}'.format('a', 'b') }} {{ '{x:>5}|{y:<4}|{z:^5}|{w:05d}|{v:.2f}|{u:,}|{t:x}|{s!r}'.format(x='a', y='b', z='c', w=42, v=3.14159, u=1234567, t=255, s='q') }} {{ '{0.name} {0[age]} {{}}'.format({'age': 3}) if false else '{0[age]} {{}}'.format({'age': 3}) }} {{ '{:*^9}'.format('mid') }} {{ '{:e} {:%}'.format(1234.5, 0.25) }}
{{ '42' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ '3.7' | int }} {{ 3.9 | int }} {{ '0x1f' | int(base=16) }} {{ '1.5' | float }} {{ 'x' | float }} {{ none | int }} {{ true | int }} {{ ' 7 ' | int }} {{ '1_000' | int }}
{{ 2.5 | round }} {{ 3.5 | round }} {{ 2.675 | round(2) }} {{ 42.55 | round(1, 'ceil') }} {{ 42.55 | round(1, 'floor') }} {{ 1234 | round(-2) }} {{ 7 | round }} {{ -5 | abs }} {{ -2.5 | abs }} {{ 1.005 | round(2) }}
{{ schema | tojson }} {{ schema | tojson(indent=2) }} {{ schema | tojson(ensure_ascii=true) }} {{ schema | tojson(separators=(',', ':')) }} {{ schema | tojson(sort_keys=true) }} {{ [] | tojson(indent=4) }} {{ {} | tojson }} {{ 'a/b</script>&' | tojson }} {{ (1, 2) | tojson }} {{ {1: 2, none: 3, true: 4} | tojson }} {{ '\\x01\\x7f\\t' | tojson }} {{ [tiny, huge, big] | tojson }} {{ '😀é' | tojson(ensure_ascii=true) }} {{ {'a': {}} | tojson(indent=1) }}
{{ '<a href="x">\\'&' | e }} {{ ('<b>' | safe) + '<i>' }} {{ ('<b>' | safe) ~ '<i>' }} {{ '<b>' | escape | escape }} {{ '<p>x  <b>y</b></p>' | striptags }} {{ ('<b>' | e) is escaped }} {{ '<' | forceescape }}
{{ 'foo bar baz qux' | truncate(9) }} {{ 'foo bar baz qux' | truncate(9, true) }} {{ 'foo bar baz qux' | truncate(11) }} {{ 'foo bar baz qux' | truncate(11, false, '...', 0) }} {{ words | wordcount }} {{ 'a b&c/é' | urlencode }} {{ {'a': 1, 'b': 'x y'} | urlencode }} {{ 1000000 | filesizeformat }} {{ 1024 | filesizeformat(true) }} {{ 1 | filesizeformat }}
{{ strftime_now('%Y-%m-%d %d %b %B %A %a %H:%M:%S %I %p %j %y %U %W %w %u %V %G %e %-d %%') }}
{{ dict(a=1, b=2) }} {{ dict([['x', 1]]) }} {{ dict({'a': 1}, b=2) }} {{ range(3) }} {{ range(1, 7, 2) }} {{ range(3) | list }} {{ range(0) | list }}
{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('; ') %}{% for x in numbers %}{{ j() }}{{ x }}{% endfor %}
{{ {'a': 1} == {'a': 1.0} }} {{ [1, [2]] == [1, [2]] }} {{ (1, 2) == [1, 2] }} {{ missing == missing }} {{ missing == none }} {{ range(3) == range(3) }}
{{ numbers.index(2) }} {{ numbers.count(3) }} {{ (1, 2, 1).count(1) }}
{{ 'a' if yes else 'b' if no else 'c' }} {{ ('x' if no) is undefined }} {{ (yes, no) | select | list }}
{{ {'items': 1}['items'] }}|{{ 'x' if nested.items is callable }}
{{ [1, 2, 3][n - 6] }} {{ nested[name] }}| {{ numbers['0'] }}| {{ numbers[true] }} {{ 'abc'.upper().lower()[1] }} {{ numbers.0 }} {{ {1: 'int'}[1.0] }} {{ {1: 'int'}[true] }}
{{ people[0].name ~ people[1]['name'] ~ 1 ~ none ~ 2.0 }} {{ missing ~ 'x' }}
{{ none | map('upper') | list }} {{ false | selectattr('x') | list }} {{ missing | reject('odd') | list }} {{ 'plain' % missing }} {{ 'plain' % nested }} {{ [1, 2] | truncate(9) }}
{{ missing | int }}
{{ missing | float(1.0) }}
{{ 5 | indent }}
{{ missing | indent }}
{{ 5 | truncate }}
{{ 'x' % 5 }}
{{ missing.attribute }}
{{ nothing.attribute }}|{{ nothing['x'] }}|{{ n.x }}|{{ n[0] }}|{{ people.name }}|
{{ nothing.attribute.deeper }}
{{ missing + 1 }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + 'a' }}
{{ 'a' - 'b' }}
{{ 1 / 0 }}
{{ 'a' < 1 }}
{{ [1, 'a'] | sort }}
{{ missing() }}
{{ name() }}
{{ nothing() }}
{{ numbers.append(1) }}
{{ nested.update({}) }}
{{ name.__class__ }}|{{ name.__class__.x }}
{{ 1 | nope }}
{{ 1 is nope }}
{{ people | map(attribute='tags.0') | list }}
{{ raise_exception('my message') }}
{{ 5 | length }}
{{ 5 | list }}
{% for x in 5 %}{% endfor %}
{% for a, b in [[1]] %}{% endfor %}
{% for a, b in [[1, 2, 3]] %}{% endfor %}
{% set name.x = 1 %}
{% set m = namespace() %}{% set m.x = 1 %}{{ m.x }}{{ m['x'] }}{{ m.y }}|{% set q.x = 1 %}
{% macro one(a) %}{% endmacro %}{{ one(1, 2) }}
{% macro one(a) %}{% endmacro %}{{ one(b=1) }}
{{ missing | tojson }}
{{ {}[[]] }}|{{ {[]: 1} }}
{{ 'x' in 5 }}
{{ 1 in 'x' }}
{{ ','.join([1]) }}
{{ 'abc'[::0] }}
{{ name['x':] }}
{{ 'a'.split('') }}
{{ 'a'.index('b') }}
{{ range(1000000) }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ none | dictsort }}
{{ (1.0 / 3) | round(3) }}{{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ 9007199254740993 * 1.0 }} {{ 0.00001 }} {{ 0.0001 }} {{ -0.0 }}
{{ n.foo.bar }}
{{ unclosed
{% if x %}
{% endif %}
{% unknown %}
{{ 1 + }}
{{ (1, 2 }}
{{ 'unclosed }}
{{ a b }}
{% for x of y %}{% endfor %}
{% break %}
{{ ] }}
{# unclosed
{% raw %} unclosed
{{ 1 is odd is even }}
{% set true = 1 %}
{{ f(a=1, 2) }}
"""

# Whitespace control, each a whole template.
WHOLE = [
    "a\n{% if yes %}\nb\n{% endif %}\nc\n",
    "a\n  {% if yes %}\n  b\n  {% endif %}\nc\n\n",
    "a  {%- if yes -%}  b  {%- endif -%}  c",
    "  {%+ if yes %} x {% endif +%}\ny",
    "{% if yes -%}\n\n  x\n{%- endif %}\n  {{- name -}}  \n z",
    "{{ name }}\n{{ name }}\n",
    "a {# comment #}\n  {# lonely comment #}\nb {#- tight -#} c\n   {#+ kept #}\nd",
    "\t {% set x = 1 %} \t{{ x }}",
    "x\r\n{% if yes %}\r\ny\r\n{% endif %}\rz",
    "{%if yes%}1{%endif%}{{1}}{{-1-}}{{ {'a':{'b':1}}['a']['b'] }}",
    "  {% raw %}\n  {{ x }}\n  {% endraw %}\n b",
    "a {%- raw -%}  {{ x }}  {%- endraw -%} b",
    "{% for x in [1, 2] %}\n  {{ x }}\n{% endfor %}\nend\n\n\n",
    "\n\n{% if yes %}\n\nx{% endif %}\n",
    "{{ '%}' }}{% set s = '}}' %}{{ s }}{{ \"#}\" }}",
    "{ { } } {a} {%- if yes %} % {% endif %}#}",
    "",
    "\n",
    "line1\nline2 {% if no %}x{% endif %}\n  line3   {% if yes %}\n  y{% endif %}",
    "{% if yes %}  \n x{% endif %}",
    "\u00a0{% if yes %}nbsp{% endif %}\u3000{%- if yes %}wide{% endif %}",
]


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def rendered(source, variables):
    entry = {"template": source}
    try:
        entry["text"] = environment().from_string(source).render(**variables)
    except Exception as error:  # noqa: BLE001: whatever Jinja2 raises is the golden
        entry["error"] = f"{type(error).__name__}: {error}"
    return entry


def write(name, content):
    FIXTURES.mkdir(parents=True, exist_ok=True)
    path = FIXTURES / name
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"{path}: {len(content['cases'])} cases")


def main():
    sources = [line for line in CASES.split("\n") if line] + WHOLE
    write("language.json", {"variables": VARIABLES, "cases": [rendered(source, VARIABLES) for source in sources]})
    if len(sys.argv) < 2:
        return
    folder = pathlib.Path(sys.argv[1])
    config = json.loads((folder / "sprout-28m" / "tokenizer_config.json").read_text(encoding="utf-8"))
    cases = []
    for case in json.loads((folder / "golden.json").read_text(encoding="utf-8"))["cases"]:
        if "messages" not in case:
            continue
        variables = {"messages": case["messages"], "add_generation_prompt": True}
        if "tools" in case:
            variables["tools"] = case["tools"]
        entry = rendered(config["chat_template"], variables)
        assert entry["text"] == case["text"], "Jinja2 here differs from the reference"
        cases.append({"vars": variables, "text": case["text"]})
    call = {"function": {"name": "get_weather", "arguments": {"city": "Oslo", "days": 2}}}
    dialogue = [
        {"role": "system", "content": "You are Sprout."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": '{"sky": "clear"}'},
        {"role": "assistant", "content": "Calling twice.", "tool_calls": [call["function"], {"name": "f", "arguments": "{}"}]},
    ]
    for variables in (
        {"messages": dialogue, "add_generation_prompt": False},
        {"messages": dialogue, "tools": [{"type": "function", "function": {"name": "f"}}], "add_generation_prompt": True},
    ):
        cases.append({"vars": variables, "text": rendered(config["chat_template"], variables)["text"]})
    write("sprout.json", {"template": config["chat_template"], "cases": cases})


if __name__ == "__main__":
    main()
