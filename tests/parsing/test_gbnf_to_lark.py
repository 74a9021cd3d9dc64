"""GBNF in, Lark out: what is refused and why; and, in llguidance, the same texts as by the definition of GBNF."""

from __future__ import annotations

import json
from collections.abc import Iterator

import llguidance
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ollamapy.errors import InvalidInputError
from ollamapy.parsing.gbnf import Chain, Chars, Choice, Part, Ref, Repeat, Rules, parse_gbnf
from ollamapy.parsing.gbnf_to_lark import gbnf_to_lark

JSON = r"""
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}   # short
"""
TOKENIZER = llguidance.LLTokenizer("byte")


def allows(grammar: str, text: str) -> bool:
    """Whether llguidance takes the text as a whole, by the converted grammar."""
    encoded = json.dumps({"grammars": [{"lark_grammar": gbnf_to_lark(grammar)}]})
    matcher = llguidance.LLMatcher(TOKENIZER, encoded, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    tokens = list(text.encode())
    if matcher.validate_tokens(tokens) < len(tokens):
        return False
    assert matcher.consume_tokens(tokens)
    return matcher.is_accepting()


def ends(part: Part, rules: Rules, text: str, at: int) -> set[int]:
    """Where a part that begins at a position may end: GBNF's meaning, spelled out."""
    match part:
        case Chars(ranges):
            return {at + 1} if at < len(text) and any(a <= ord(text[at]) <= b for a, b in ranges) else set()
        case Ref(name):
            return ends(rules[name], rules, text, at)
        case Choice(options):
            return {end for option in options for end in ends(option, rules, text, at)}
        case Chain(parts):
            here = {at}
            for child in parts:
                here = {end for start in here for end in ends(child, rules, text, start)}
            return here
        case Repeat(inner, low, high):
            here, found = {at}, {at} if low == 0 else set()
            for count in range(1, (len(text) + low if high is None else high) + 1):
                here = {end for start in here for end in ends(inner, rules, text, start)}
                found |= here if count >= low else set()
            return found


@pytest.mark.parametrize(
    ("grammar", "good", "bad"),
    [
        ('root ::= "ab" "x" | [a] [b] "y"', ["abx", "aby"], ["ab", "abz"]),
        ('root ::= a "b"\na ::= [a-z]*', ["b", "ab", "aab", "aabb"], ["", "a", "ba"]),
        ('root ::= a "b" | "(" root ")"\na ::= [a-z]*', ["b", "aab", "(abb)"], ["(a)", "a"]),
        ('root ::= "(" root ")" | [a-z]+ "1" | "ab" "2"', ["ab1", "ab2", "((ab2))", "abc1"], ["ab", "b2"]),
        ('root ::= x "," x | "[" root "]"\nx ::= [^,]*', ["a,b", ",", "[a,]", "[,]b"], ["a", "a,b,c"]),
        ('root ::= . | "x" root', ["\n", "é", "x\n", "xx😀"], ["", "ab"]),
        ('root ::= [\\x41-\\u0043\\U0001F600] "\\"\\\\\\n\\t\\[\\]"', ['A"\\\n\t[]', '😀"\\\n\t[]'], ['D"\\\n\t[]']),
        ("root ::= [a-] [^a]", ["-b", "ab"], ["bb", "aa"]),
        ('root ::= ("a"{2} "b"{1,} "c"{0,2} "d"{0}){2}', ["aabaab", "aabbccaabc"], ["aab", "aabcccaab", "aabdaab"]),
        ('root ::= # nothing yet\n  "a" |\n  ( "b"\n  "c" )  # done\n\n', ["a", "bc"], ["b", ""]),
        ('root ::= "a" | ', ["a", ""], ["b"]),
        ('root ::= item-1+\nitem-1 ::= "x" Other_2?\nOther_2 ::= "y"', ["x", "xyxx"], ["y"]),
        (JSON, ['{}', '{"a": [1, -2.5e3, {"b\\n\\u00e9": null}]}'], ['{"a": 01 2}', '{"a"}', '{"a":"\n"}', "[]"]),
    ],
)  # fmt: skip
def test_the_texts_of_a_grammar_are_allowed_and_no_others(grammar: str, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not allows(grammar, text)] == []
    assert [text for text in bad if allows(grammar, text)] == []


def parts(names: list[str]) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(['"a"', '"ab"', '"b"', "[ab]", "[a-c]", "[^a]", '"c"', *names])

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.builds(" ".join, st.lists(inner, min_size=2, max_size=3)),
            st.builds(lambda options: f"({' | '.join(options)})", st.lists(inner, min_size=2, max_size=3)),
            st.builds(lambda part, sign: f"({part}){sign}", inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}"])),
        )

    return st.recursive(leaf, grow, max_leaves=5)


@settings(max_examples=60, deadline=None)
@given(parts(["x"]), parts(["x"]), st.lists(st.text("abc", max_size=6), min_size=8, max_size=8))
def test_any_grammar_means_in_llguidance_what_it_means_in_gbnf(root: str, x: str, texts: list[str]) -> None:
    grammar = f'root ::= {root}\nx ::= "c" | "(" {x} ")"'
    rules = parse_gbnf(grammar)
    for text in [*texts, *_some_texts(rules)]:
        assert allows(grammar, text) == (len(text) in ends(rules["root"], rules, text, 0)), (grammar, text)


def _some_texts(rules: Rules) -> Iterator[str]:
    """Texts that are likely to be right: runs and mixes of the letters that grammars here are made of."""
    yield from ("", "a", "ab", "aab", "abab", "c", "cc", "abc", "(c)", "((c))", "(a)", "(ab)c", "a(c)b", "aaab")


@pytest.mark.parametrize(
    ("grammar", "complaint"),
    [
        ("root ::= root", "begins with itself"),
        ('root ::= a "x"\na ::= b | "y"\nb ::= a "z"', "begins with itself"),
        ('root ::= n root "x" | "y"\nn ::= "q"*', "begins with itself"),
        ('root ::= "a" root', "no text ever fulfils it"),
        ("root ::= nope", 'no rule "nope"'),
        ('x ::= "a"', 'no rule "root"'),
        ("", 'no rule "root"'),
        ('root ::= "a"\nroot ::= "b"', "twice (line 2)"),
        ('root ::= "a', "has no end"),
        ("root ::= [a", "has no end"),
        ("root ::= []", "has none"),
        ("root ::= [z-a]", "wrong way round"),
        ('root ::= ("a"', '")" is missing'),
        ('root ::= "a")', "can't stand here"),
        ('root = "a"', '"::=" is missing'),
        ('root ::= "\\q"', "no such escape"),
        ('root ::= "\\uD800"', "no character"),
        ('root ::= "a"{,2}', "must be"),
        ('root ::= "a"{3,2}', "wrong way round"),
        ('root ::= "a"{1,1000000}', "above 2000"),
        ("root ::= <|im_end|>", "tokens"),
        ("root ::= " + "(" * 10_000, "nested more than"),
        ('root ::= "' + "a" * 10_000_000 + '"', "at most 65536"),
        ("root ::= " + ' | '.join(f'"{i}"' for i in range(5000)), "more than 5000 parts"),
        ('root ::= "a"' + "*" * 1000, "more than 40 repetitions"),
        ("\n".join(["root ::= r0", *(f'r{i} ::= r{i + 1} | "x" r{i + 1}' for i in range(1500))]), "5000 parts"),
    ],
)  # fmt: skip
def test_t61_what_is_wrong_is_said(grammar: str, complaint: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        gbnf_to_lark(grammar)
    assert complaint in caught.value.message
    assert caught.value.message.startswith("grammar: ")
    assert len(caught.value.message) < 300
