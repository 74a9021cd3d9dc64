"""What follows from the rules of a GBNF grammar: which can be empty, begin with themselves, or never end; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ollamapy.errors import InvalidInputError
from ollamapy.parsing.gbnf import Chain, Chars, Choice, Part, Ref, Repeat, Rules

ROOT = "root"
MOST_LOOKS = 300_000  # at parts, in all; about half a second

Known = set[str]


def used_rules(rules: Rules) -> Rules:
    """Return the rules that the root leads to; raises InvalidInputError where one is not there."""
    found: dict[str, Part] = {}
    names = [ROOT]
    while names:
        name = names.pop()
        if name in found:
            continue
        if name not in rules:
            raise InvalidInputError(f'grammar: there is no rule "{name[:80]}"')
        found[name] = rules[name]
        names += refs_in(rules[name])
    return found


def check_rules(rules: Rules) -> None:
    """Raise InvalidInputError for left recursion, which llama.cpp refuses too, and where no text ever ends."""
    nullable = nullable_rules(rules)
    leads = {name: list(_leftmost(part, nullable)) for name, part in rules.items()}
    if (circle := _find_circle(leads)) is not None:
        raise InvalidInputError(f'grammar: the rule "{circle[:80]}" begins with itself (left recursion)')
    if ROOT not in _fixpoint(rules, can_end):
        raise InvalidInputError("grammar: no text ever fulfils it")


def is_recursive(rules: Rules) -> bool:
    """Return whether a rule refers to itself, over others or not."""
    return _find_circle({name: refs_in(part) for name, part in rules.items()}) is not None


def nullable_rules(rules: Rules) -> Known:
    """Return the rules that the empty text fulfils."""
    return _fixpoint(rules, is_nullable)


def is_nullable(part: Part, nullable: Known) -> bool:
    """Return whether the empty text fulfils a part."""
    match part:
        case Chars():
            return False
        case Ref(name):
            return name in nullable
        case Chain(parts):
            return all(is_nullable(child, nullable) for child in parts)
        case Choice(options):
            return any(is_nullable(child, nullable) for child in options)
        case Repeat(inner, low):
            return low == 0 or is_nullable(inner, nullable)


def can_end(part: Part, ending: Known) -> bool:
    """Return whether a text of finite length fulfils a part, where `ending` rules have one."""
    match part:
        case Chars():
            return True
        case Ref(name):
            return name in ending
        case Chain(parts):
            return all(can_end(child, ending) for child in parts)
        case Choice(options):
            return any(can_end(child, ending) for child in options)
        case Repeat(inner, low):
            return low == 0 or can_end(inner, ending)


def walk(part: Part) -> Iterator[Part]:
    """Yield a part and all within it."""
    yield part
    match part:
        case Chain(children) | Choice(children):
            for child in children:
                yield from walk(child)
        case Repeat(inner):
            yield from walk(inner)
        case _:
            return


def refs_in(part: Part) -> list[str]:
    """Return the rules that a part names."""
    return [child.name for child in walk(part) if isinstance(child, Ref)]


def _leftmost(part: Part, nullable: Known) -> Iterator[str]:
    """Yield the rules that a text of this part may begin with."""
    match part:
        case Ref(name):
            yield name
        case Chain(parts):
            for child in parts:
                yield from _leftmost(child, nullable)
                if not is_nullable(child, nullable):
                    return
        case Choice(options):
            for child in options:
                yield from _leftmost(child, nullable)
        case Repeat(inner):
            yield from _leftmost(inner, nullable)
        case _:
            return


def _fixpoint(rules: Rules, holds: Callable[[Part, Known], bool]) -> Known:
    """Return the rules for which something holds that follows from the rules they name."""
    users: dict[str, list[str]] = {name: [] for name in rules}
    sizes = {}
    for name, part in rules.items():
        sizes[name] = sum(1 for _ in walk(part))
        for other in refs_in(part):
            users[other].append(name)
    known: Known = set()
    queue, left = list(rules), MOST_LOOKS
    while queue:
        name = queue.pop()
        if name in known:
            continue
        left -= sizes[name]
        if left < 0:
            raise InvalidInputError("grammar: its rules depend on each other in too many ways; simplify it")
        if holds(rules[name], known):
            known.add(name)
            queue += users[name]
    return known


def _find_circle(graph: Mapping[str, list[str]]) -> str | None:
    """Return a node that can be reached from itself, None where there is none."""
    done: set[str] = set()
    for start in graph:
        path, on_path = [(start, iter(graph[start]))], {start}
        while path and start not in done:
            name, children = path[-1]
            child = next(children, None)
            if child is None:
                done.add(name)
                on_path.discard(name)
                path.pop()
            elif child in on_path:
                return child
            elif child not in done:
                on_path.add(child)
                path.append((child, iter(graph[child])))
    return None
