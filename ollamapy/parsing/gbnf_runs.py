"""Where a grammar may be read a run of characters at a time without changing which texts fulfil it: pure.

Each place of a character in the grammar is a bit. Rules are taken as if they could return to whoever calls them, so
more places are thought possible at one time than are: a run is found less often than it could be, and never wrongly.
"""

from __future__ import annotations

from collections.abc import Iterator

from ollamapy.parsing.gbnf import Chain, Chars, Choice, Part, Ranges, Ref, Repeat, Rules
from ollamapy.parsing.gbnf_facts import ROOT, is_nullable, nullable_rules, walk

MOST_PLACES = 400
MOST_PAIRS = 200_000


def find_runs(rules: Rules) -> frozenset[Chars]:
    """Return the classes that stand in a loop where nothing else that is possible begins with any of them."""
    places = [part for rule in rules.values() for part in walk(rule) if isinstance(part, Chars)]
    candidates = [chars for rule in rules.values() for part in walk(rule) for chars in _looped(part)]
    if not candidates or len(places) > MOST_PLACES:
        return frozenset()
    sets = _Sets(rules, places)
    overlap = [
        sum(1 << j for j, other in enumerate(places) if _overlap(place.ranges, other.ranges)) for place in places
    ]
    alive = _alive_together(sets.first_of_rule[ROOT], sets.follow, overlap)
    if alive is None:
        return frozenset()
    index = {place: number for number, place in enumerate(places)}
    return frozenset(c for c in candidates if alive[index[c]] & overlap[index[c]] == 1 << index[c])


def _looped(part: Part) -> Iterator[Chars]:
    """Yield the classes of which any number may follow each other by this repetition."""
    if isinstance(part, Repeat) and part.high is None and part.low <= 1:
        options = part.part.options if isinstance(part.part, Choice) else (part.part,)
        yield from (option for option in options if isinstance(option, Chars))


class _Sets:
    """Sets of places as bits: with which a rule may begin and end, and which may follow each place."""

    def __init__(self, rules: Rules, places: list[Chars]) -> None:
        self._bit = {place: 1 << number for number, place in enumerate(places)}
        self._nullable = nullable_rules(rules)
        self.first_of_rule = dict.fromkeys(rules, 0)
        self.last_of_rule = dict.fromkeys(rules, 0)
        self.follow = [0] * len(places)
        for sets, is_last in ((self.first_of_rule, False), (self.last_of_rule, True)):
            changed = True
            while changed:
                changed = False
                for name, part in rules.items():
                    found = self._edge(part, is_last=is_last)
                    changed = changed or found != sets[name]
                    sets[name] = found
        for rule in rules.values():
            for part in walk(rule):
                self._link_within(part)

    def _edge(self, part: Part, *, is_last: bool) -> int:
        match part:
            case Chars():
                return self._bit[part]
            case Ref(name):
                return (self.last_of_rule if is_last else self.first_of_rule)[name]
            case Choice(options):
                found = 0
                for option in options:
                    found |= self._edge(option, is_last=is_last)
                return found
            case Repeat(inner, _, high):
                return 0 if high == 0 else self._edge(inner, is_last=is_last)
            case Chain(parts):
                found = 0
                for child in reversed(parts) if is_last else parts:
                    found |= self._edge(child, is_last=is_last)
                    if not is_nullable(child, self._nullable):
                        break
                return found

    def _link_within(self, part: Part) -> None:
        if isinstance(part, Repeat) and part.high != 1:
            self._link(self._edge(part, is_last=True), self._edge(part, is_last=False))
        elif isinstance(part, Chain):
            behind = 0
            for child in reversed(part.parts):
                self._link(self._edge(child, is_last=True), behind)
                first = self._edge(child, is_last=False)
                behind = first | behind if is_nullable(child, self._nullable) else first

    def _link(self, lasts: int, firsts: int) -> None:
        for number in _bits(lasts):
            self.follow[number] |= firsts


def _alive_together(start: int, follow: list[int], overlap: list[int]) -> list[int] | None:
    """Return for each place the others that are possible at one time with it, None where that takes too long."""
    alive, done = [0] * len(follow), [0] * len(follow)
    for number in _bits(start):
        alive[number] = start
    queue, left = list(_bits(start)), MOST_PAIRS
    while queue:
        number = queue.pop()
        new = alive[number] & overlap[number] & ~done[number]
        done[number] |= new
        after = 0
        for other in _bits(new):
            after |= follow[other]
        left -= new.bit_count() + follow[number].bit_count()
        if left < 0:
            return None
        for following in _bits(follow[number]) if new else ():
            if after & ~alive[following]:
                alive[following] |= after
                queue.append(following)
    return alive


def _bits(value: int) -> Iterator[int]:
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low


def _overlap(a: Ranges, b: Ranges) -> bool:
    i = j = 0
    while i < len(a) and j < len(b):
        if a[i][1] < b[j][0]:
            i += 1
        elif b[j][1] < a[i][0]:
            j += 1
        else:
            return True
    return False
