"""Model options: their ranges, and their forms as JSON, as Modelfile parameters and as records."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Literal

from ollamapy.errors import OptionError
from ollamapy.types import Json, Options

log = logging.getLogger("ollamapy.options")

MAX_STOPS = 256
MAX_STOP_CHARS = 1024

_INT32 = 2**31 - 1
_INT64 = 2**63 - 1
_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_FLOAT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_SHARES = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?(,[0-9]{1,9}(\.[0-9]{1,9})?){0,63}")

Kind = Literal["integer", "float32", "boolean", "array", "string"]


@dataclass(frozen=True, slots=True)
class OptionRule:
    """What one option accepts; `low` and `high` are inclusive and count for numbers, `words` for strings.

    A string is one of the words, or numbers of at least 0 with commas between them where there are none.
    """

    kind: Kind
    low: float = 0
    high: float = 0
    words: tuple[str, ...] = ()

    def accepts(self, text: str) -> bool:
        """Whether a string is one that this option takes."""
        return text in self.words if self.words else bool(_SHARES.fullmatch(text)) and any(map(float, text.split(",")))

    @property
    def expected(self) -> str:
        """Say in words what to write instead."""
        if self.kind == "boolean":
            return "write true or false"
        if self.kind == "array":
            return (
                f'write a list of at most {MAX_STOPS} strings of at most {MAX_STOP_CHARS} characters, such as ["END"]'
            )
        if self.kind == "string":
            return f"write one of {', '.join(self.words)}" if self.words else "write shares such as 3,1"
        noun = "an integer" if self.kind == "integer" else "a number"
        return f"write {noun} from {_number_text(self.low)} to {_number_text(self.high)}"


RULES: Mapping[str, OptionRule] = {
    "num_ctx": OptionRule("integer", 0, _INT32),  # 0 leaves the choice to the server
    "num_batch": OptionRule("integer", 1, 65_536),
    "num_gpu": OptionRule("integer", -1, 1_000_000),  # 999 and the like are a custom for "all layers"
    "main_gpu": OptionRule("integer", 0, 1023),
    "split_mode": OptionRule("string", words=("none", "layer", "row", "tensor")),
    "tensor_split": OptionRule("string"),
    "use_mmap": OptionRule("boolean"),
    "num_thread": OptionRule("integer", 0, 4096),
    "num_keep": OptionRule("integer", -1, _INT32),
    "seed": OptionRule("integer", -_INT64 - 1, _INT64),
    "num_predict": OptionRule("integer", -2, _INT32),
    "top_k": OptionRule("integer", 0, _INT32),
    "top_p": OptionRule("float32", 0, 1),
    "min_p": OptionRule("float32", 0, 1),
    "typical_p": OptionRule("float32", 0, 1),
    "repeat_last_n": OptionRule("integer", -1, _INT32),
    "temperature": OptionRule("float32", 0, 1000),
    "repeat_penalty": OptionRule("float32", 0.01, 100),  # 0 would divide by zero; 1 disables it
    "presence_penalty": OptionRule("float32", -100, 100),
    "frequency_penalty": OptionRule("float32", -100, 100),
    "stop": OptionRule("array"),
    "top_n_sigma": OptionRule("float32", -1, 100),  # 0 and less disable it
    "xtc_probability": OptionRule("float32", 0, 1),
    "xtc_threshold": OptionRule("float32", 0, 1),
    "dry_multiplier": OptionRule("float32", 0, 100),
    "dry_base": OptionRule("float32", 1, 100),
    "dry_allowed_length": OptionRule("integer", 1, 65_536),
    "dry_penalty_last_n": OptionRule("integer", -1, _INT32),
    "dry_sequence_breakers": OptionRule("array"),
    "mirostat": OptionRule("integer", 0, 2),
    "mirostat_tau": OptionRule("float32", 0, 100),
    "mirostat_eta": OptionRule("float32", 0, 1),
    "draft_num_predict": OptionRule("integer", 0, _INT32),  # 0 guesses no tokens ahead
}


# Options of older Ollama versions, which have no effect any more.
DEPRECATED = frozenset({"penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"})


def parse_options(raw: Mapping[str, Json]) -> Options:
    """Read a JSON object of options; unknown names are logged and ignored, nulls skipped.

    Raises OptionError for a value of the wrong type or outside its range.
    """
    values: dict[str, Json] = {}
    for name, value in raw.items():
        if value is None:
            continue
        if name in RULES:
            values[name] = _checked(name, value, RULES[name])
        else:
            log.warning("invalid option provided: %s", _shown(name))
    return Options(**values)


def parse_kept_options(raw: Mapping[str, Json]) -> Options:
    """Read a JSON object of options that a model is to keep: as `parse_options`, but an unknown name is an error, too.

    Raises OptionError.
    """
    for name in raw:
        if name not in RULES and name not in DEPRECATED:
            raise _unknown(name)
    return parse_options(raw)


def parse_parameter(name: str, text: str) -> Json:
    """Convert the text of a Modelfile parameter to its JSON value; a `stop` text is one string of the list.

    Raises OptionError for an unknown name, a text of the wrong type, or a value outside its range.
    """
    rule = RULES.get(name)
    if rule is None:
        raise _unknown(name)
    if rule.kind == "array":
        _stops(name, [text], rule)
        return text
    return _checked(name, _converted(name, text, rule), rule)


def options_from_parameters(parameters: Iterable[tuple[str, str]]) -> Options:
    """Read Modelfile parameters in order: lists such as `stop` accumulate, for the others the last one wins."""
    values: dict[str, Json] = {}
    for name, text in parameters:
        value = parse_parameter(name, text)
        if name in RULES and RULES[name].kind == "array":
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    return parse_options(values)


def options_to_json(options: Options) -> dict[str, Json]:
    """Return the options that are set as a JSON object, as a model's parameter layer stores them."""
    return {
        f.name: list(value) if isinstance(value, tuple) else value
        for f in fields(options)
        if (value := getattr(options, f.name)) is not None
    }


def options_to_parameters(options: Options) -> tuple[tuple[str, str], ...]:
    """Return the options that are set as Modelfile parameters, sorted by name, one pair for each stop string."""
    pairs: list[tuple[str, str]] = []
    for name, value in sorted(options_to_json(options).items()):
        if isinstance(value, list):
            pairs.extend((name, stop) for stop in value)
        elif isinstance(value, bool):
            pairs.append((name, "true" if value else "false"))
        elif isinstance(value, str):
            pairs.append((name, value))
        else:
            pairs.append((name, _number_text(value)))
    return tuple(pairs)


def _checked(name: str, value: Json, rule: OptionRule) -> Json:
    if rule.kind == "array":
        return _stops(name, value, rule)
    if rule.kind == "boolean":
        if not isinstance(value, bool):
            raise _type_error(name, value, rule)
        return value
    if rule.kind == "string":
        if not isinstance(value, str):
            raise _type_error(name, value, rule)
        if not rule.accepts(value):
            raise _range_error(name, value, rule)
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _type_error(name, value, rule)
    if isinstance(value, float) and not math.isfinite(value):
        raise _range_error(name, value, rule)
    number = math.trunc(value) if rule.kind == "integer" else value
    if not rule.low <= number <= rule.high:
        raise _range_error(name, value, rule)
    return number if rule.kind == "integer" else float(number)


def _stops(name: str, value: Json, rule: OptionRule) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise _type_error(name, value, rule)
    if any(not isinstance(stop, str) for stop in value):
        raise OptionError(name, f'option "{name}" must be of an array of strings; {rule.expected}')
    if len(value) > MAX_STOPS:
        raise OptionError(name, f'option "{name}" has {len(value)} strings; {rule.expected}')
    longest = max(map(len, value), default=0)
    if longest > MAX_STOP_CHARS:
        raise OptionError(name, f'option "{name}" has a string of {longest} characters; {rule.expected}')
    return tuple(stop for stop in value if stop)


def _converted(name: str, text: str, rule: OptionRule) -> Json:
    if rule.kind == "string":
        return text
    if rule.kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if rule.kind == "float32" and _FLOAT.fullmatch(text):
        return float(text)
    if rule.kind == "boolean" and text in _TRUE | _FALSE:
        return text in _TRUE
    kind = {"integer": "int", "float32": "float", "boolean": "bool"}[rule.kind]
    raise OptionError(name, f"invalid {kind} value [{_shown(text)}] for {name}; {rule.expected}")


def _unknown(name: str) -> OptionError:
    near = get_close_matches(name.lower(), RULES, n=1)
    told = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(sorted(RULES))}"
    return OptionError(name, f"unknown parameter '{_shown(name)}'; {told}")


def _type_error(name: str, value: Json, rule: OptionRule) -> OptionError:
    return OptionError(name, f'option "{name}" must be of type {rule.kind}, not {_described(value)}; {rule.expected}')


def _range_error(name: str, value: float | str, rule: OptionRule) -> OptionError:
    return OptionError(name, f'option "{name}" can\'t be {_described(value)}; {rule.expected}')


def _described(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the string "{_shown(value)}"'
    if isinstance(value, int):
        return str(value) if abs(value) < 10**20 else "a number of more than 20 digits"
    if isinstance(value, float):
        return repr(value)
    return "a list" if isinstance(value, list | tuple) else "an object"


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


def _number_text(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e20 else repr(value)
