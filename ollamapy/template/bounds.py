"""The bounds of one rendering: time, memory and output, and the meter that every costly operation reports to.

A template comes with a downloaded model and is hostile until proven otherwise. A render can't be killed in-process, so
no single operation may be long: sizes are checked before a value is made, and the clock is read between operations.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from jinja2.utils import Namespace

from ollamapy.errors import TemplateError
from ollamapy.template.deadline import Deadline

STEP_BYTES = 64  # what one loop step, call or filter may leave behind at least
WALK_STEPS = 16  # loop steps between two looks at the clock
_EMPTY: dict[str, Any] = {}
CONTAINERS = (dict, list, tuple, type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items()))


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one rendering may use.

    `work_bytes` is the sum over everything it makes, whether it still exists or not; `walk_nodes` is how many values
    one print or comparison may visit. With `forgives`, a text plus what is undefined is that text, as in llama.cpp.
    `seconds` are the processor's.
    """

    seconds: float = 2.0
    output_chars: int = 16 << 20
    work_bytes: int = 128 << 20
    value_chars: int = 16 << 20
    value_items: int = 1_000_000
    walk_nodes: int = 250_000
    integer_bits: int = 4096
    compare_cost: int = 200_000_000
    forgives: bool = True


class Meter:
    """Counts what one rendering uses; raises TemplateError as soon as a bound is exceeded."""

    __slots__ = ("_clock", "_deadline", "_left", "_look_at", "_output", "bounds")

    def __init__(self, bounds: Bounds, deadline: Deadline | None = None) -> None:
        self.bounds = bounds
        self._deadline = deadline or Deadline(bounds.seconds)
        self._clock, self._look_at = self._deadline.clock, self._deadline.look_at
        self._left = bounds.work_bytes
        self._output = bounds.output_chars

    def step(self) -> None:
        """Count one loop step or call."""
        self._left -= STEP_BYTES
        if self._left < 0 or self._clock() > self._look_at:
            self._look()

    def charge(self, size_bytes: int) -> None:
        """Count memory that was made."""
        self._left -= size_bytes
        if self._left < 0:
            self._look()

    def stepped(self, value: Any) -> Any:
        """Count one step and return the value."""
        self.step()
        return value

    def printed(self, value: Any) -> str:
        """Return a value as the template prints it, counted."""
        text = value if type(value) is str else self.text(value)
        self._left -= len(text) + 8
        if self._left < 0:
            self._look()
        return text

    def compared(self, value: Any) -> Any:
        """Return a value that may be compared with others, having looked at how long that may take."""
        if isinstance(value, CONTAINERS):
            self.measure(value)
        return value

    def _look(self) -> None:
        if self._left < 0:
            raise TemplateError(f"the chat template used more than {self.bounds.work_bytes >> 20} MiB of memory")
        if self._deadline.has_passed():
            raise TemplateError(f"the chat template ran for more than {self.bounds.seconds:g} seconds")
        self._look_at = self._deadline.look_at

    def output(self, n_chars: int) -> None:
        """Count text of the result."""
        self._output -= n_chars
        if self._output < 0:
            raise TemplateError(f"the chat template wrote more than {self.bounds.output_chars} characters")

    def check_chars(self, n_chars: int) -> None:
        """Refuse to make a text of more characters than a value may have."""
        if n_chars > self.bounds.value_chars:
            raise TemplateError(f"the chat template makes a text of more than {self.bounds.value_chars} characters")

    def check_items(self, n_items: int) -> None:
        """Refuse to make a list of more items than a value may have."""
        if n_items > self.bounds.value_items:
            raise TemplateError(f"the chat template makes a list of more than {self.bounds.value_items} items")

    def check_bits(self, n_bits: int) -> None:
        """Refuse to make an integer of more bits than one may have."""
        if n_bits > self.bounds.integer_bits:
            raise TemplateError(f"the chat template makes an integer of more than {self.bounds.integer_bits} bits")

    def check_cost(self, n_comparisons: int) -> None:
        """Refuse a search that may need more character comparisons than one operation may take."""
        if n_comparisons > self.bounds.compare_cost:
            raise TemplateError("the chat template searches too long a text")

    def made(self, value: Any) -> Any:
        """Count a new value and return it."""
        kind = type(value)
        if kind is str:
            self._left -= STEP_BYTES + len(value) * (1 if value.isascii() else 4)
            if self._left < 0 or self._clock() > self._look_at or len(value) > self.bounds.value_chars:
                self.check_chars(len(value))
                self._look()
            return value
        self.step()
        if kind is int:
            self.check_bits(value.bit_length())
        elif kind is list or kind is dict or kind is tuple:
            self.check_items(len(value))
            self.charge(sys.getsizeof(value))
        return value

    def walked(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """Count the items of an iterable as they are taken, a few at a time."""
        for index, item in enumerate(iterable):
            if index % WALK_STEPS == 0:
                self.charge(STEP_BYTES * (WALK_STEPS - 1))
                self.step()
            yield item

    def items(self, iterable: Iterable[Any]) -> list[Any]:
        """Return the items as a list of bounded length."""
        if isinstance(iterable, (str, *CONTAINERS)):
            self.check_items(len(iterable))
            return list(iterable)
        found: list[Any] = []
        for item in self.walked(iterable):
            found.append(item)
            self.check_items(len(found))
        return found

    def measure(self, value: Any) -> tuple[int, int]:
        """Return the nodes and characters that printing or comparing the value visits.

        A value that holds the same list many times counts it many times, as the interpreter would walk it.
        """
        if not isinstance(value, CONTAINERS):
            return 1, len(value) if isinstance(value, str) else 1
        nodes = chars = 0
        pending: list[Iterator[Any]] = [iter((value,))]
        while pending:
            for item in pending[-1]:
                nodes += 1
                if isinstance(item, str):
                    chars += len(item)
                elif isinstance(item, CONTAINERS):
                    pending.append(_children(item))
                    break
                elif isinstance(item, Namespace):
                    raise TemplateError("the chat template prints or compares a namespace")
            else:
                pending.pop()
            self._check_walk(nodes, chars)
        return nodes, chars + nodes

    def _check_walk(self, nodes: int, chars: int) -> None:
        if nodes > self.bounds.walk_nodes:
            raise TemplateError(f"the chat template walks over more than {self.bounds.walk_nodes} values at once")
        self.check_chars(chars)
        if self._clock() > self._look_at:
            self.step()

    def text(self, value: Any) -> str:
        """Return the value as a template prints it."""
        if isinstance(value, str):
            return value
        if isinstance(value, CONTAINERS):
            nodes, chars = self.measure(value)
            self.check_chars(8 * nodes + chars)
        elif isinstance(value, Namespace):
            raise TemplateError("the chat template prints a namespace")
        return str(self.made(str(value)))


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        return (part for pair in value.items() for part in pair)
    return iter(value)
