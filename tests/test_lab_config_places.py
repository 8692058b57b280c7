"""The line of each key, in texts that make it hard."""

from __future__ import annotations

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from lab_config.places import line_of, lines_of

HARD = '''# [not.a.table]
top = """
[neither]
key = 1"""

[a]
"quoted key" = 'x # no comment'  # [b]
list = [
  "]", # a ] in a comment
  {deep = "="},
]
dotted.key = 3.14
[a.b]
c = """"quoted""""
[[m]]
id = 1
[[m]]
id = 2
[[m.p]]
id = "x"
[m.s]
t = {u = [1, 2]}
'''


def test_every_key_is_found_on_its_line() -> None:
    assert tomllib.loads(HARD)
    lines = lines_of(HARD)
    assert lines == {
        ("top",): 2,
        ("a",): 6,
        ("a", "quoted key"): 7,
        ("a", "list"): 8,
        ("a", "dotted", "key"): 12,
        ("a", "b"): 13,
        ("a", "b", "c"): 14,
        ("m", 0): 15,
        ("m", 0, "id"): 16,
        ("m", 1): 17,
        ("m", 1, "id"): 18,
        ("m", 1, "p", 0): 19,
        ("m", 1, "p", 0, "id"): 20,
        ("m", 1, "s"): 21,
        ("m", 1, "s", "t"): 22,
    }


def test_a_key_inside_a_line_has_the_line_of_what_is_around_it() -> None:
    lines = lines_of(HARD)
    assert line_of(lines, ("m", 1, "s", "t", "u")) == 22
    assert line_of(lines, ("nowhere",)) is None


@given(
    st.lists(st.sampled_from(["[[a]]", "[b.c]", "k = 1", "# ]", 'x = "="', "y = [\n1]", "", "[[a.d]]"]), max_size=12)
)
def test_no_text_that_the_parser_takes_confuses_it(parts: list[str]) -> None:
    text = "\n".join(parts)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = text.split("\n")
    for path, line in lines_of(text).items():
        assert str(next(part for part in reversed(path) if isinstance(part, str))) in found[line - 1]
