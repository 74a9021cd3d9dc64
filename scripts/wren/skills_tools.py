"""Skills with tools: calling one, telling its result, and answering without one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wren.skills_copying import copying, extraction
from wren.skills_facts import arithmetic, common_fact, help_fact, identity, unknown
from wren.skills_memory import memory
from wren.skills_style import plain_system
from wren.tool_uses import (
    KINDS,
    Schema,
    Use,
    actions,
    any_use,
    function_name,
    functions,
    needing_tool,
    renamed,
    tool,
    use_of,
    weather,
)
from wren.world import Chat, Message, Part, World

PLACES = ("city", "location", "place", "timezone", "town")


JSON_SCHEMAS = ("http://json-schema.org/draft-07/schema#", "https://json-schema.org/draft/2020-12/schema")


def as_written_by_clients(w: World, tools: list[Schema]) -> list[Schema]:
    """Return functions with what libraries put around their parameters, the same in all of them, or as they are."""
    if w.chance(0.6):
        return tools
    has_schema, is_first, is_closed, has_titles, is_strict = (w.chance(p) for p in (0.5, 0.6, 0.7, 0.3, 0.2))
    schema = {"$schema": w.of(JSON_SCHEMAS)} if has_schema else {}
    closed = {"additionalProperties": False} if is_closed else {}
    dressed = []
    for known in tools:
        function = known["function"]
        parameters = function["parameters"]
        if has_titles:
            parameters = titled(parameters, function["name"])
        around = {**schema, **parameters, **closed} if is_first else {**parameters, **closed, **schema}
        strict = {"strict": True} if is_strict else {}
        dressed.append({**known, "function": {**function, "parameters": around, **strict}})
    return dressed


def titled(parameters: Schema, name: str) -> Schema:
    """Return a schema with titles, as Pydantic writes them."""
    properties = {
        key: {**schema, "title": key.replace("_", " ").title()} for key, schema in parameters["properties"].items()
    }
    return {**parameters, "properties": properties, "title": f"{name}Arguments"}


def with_others(w: World, use: Use, but: Sequence[str] = ()) -> list[Schema]:
    """Return the wanted tool among up to three others, none of which would do as well or has a purpose in `but`."""
    listed = {use.name: use}
    for _ in range(w.of((0, 0, 1, 1, 2, 3) if w.side == "train" else (0, 0, 0, 1, 1, 2))):
        other = any_use(w)
        if other.purpose not in {known.purpose for known in listed.values()} | set(but):
            listed.setdefault(other.name, other)
    tools = [each.schema for each in listed.values()]
    w.rng.shuffle(tools)
    return tools


def maybe_system(w: World, messages: list[Message]) -> list[Message]:
    """Put a plain system prompt before some conversations."""
    return [plain_system(w), *messages] if w.chance(0.2) else messages


def turns_of(use: Use) -> list[Message]:
    """Return a use up to its result."""
    called = {"role": "assistant", "content": "", "tool_calls": [use.call]}
    return [{"role": "user", "content": use.user}, called, {"role": "tool", "content": use.result}]


def whole(use: Use) -> list[Message]:
    """Return a use with its answer."""
    return [*turns_of(use), {"role": "assistant", "content": use.answer}]


def tool_call(w: World) -> Chat:
    """A request that needs a tool, sometimes behind earlier turns."""
    use = any_use(w)
    calls, user = [use.call], use.user
    if w.side == "train" and w.chance(0.12) and (doubled := for_two_places(w, use)):
        user, calls = doubled
    tools = with_others(w, use)
    messages: list[Message] = [{"role": "user", "content": user}]
    if w.chance(0.25):
        messages[:0] = w.of((identity, unknown, arithmetic, help_fact))(w).messages
    if w.side == "train" and w.chance(0.25):
        earlier = any_use(w)
        if earlier.name not in [schema["function"]["name"] for schema in tools]:
            tools.append(earlier.schema)
            messages[:0] = whole(earlier)
    messages.append({"role": "assistant", "content": "", "tool_calls": calls})
    return Chat(maybe_system(w, messages), f"I call {use.name}.", tools)


def for_two_places(w: World, use: Use) -> tuple[str, list[dict[str, Any]]] | None:
    """Ask for two places at once, if the tool is one for places."""
    keys = list(use.call["arguments"])
    if len(keys) != 1 or keys[0] not in PLACES or use.call["arguments"][keys[0]] not in use.user:
        return None
    first, second = use.call["arguments"][keys[0]], w.city()
    another = {"name": use.name, "arguments": {keys[0]: second}}
    return use.user.replace(first, f"{first} and {second}"), [use.call, another]


def tool_result(w: World) -> Chat:
    """A result that is told to the user."""
    use = any_use(w)
    messages, answer = turns_of(use), use.answer
    if w.side == "train" and w.chance(0.08):
        use, messages, answer = two_results(w)
    messages = [*messages, {"role": "assistant", "content": answer}]
    if w.side == "train" and w.chance(0.15):
        messages[:0] = w.of((identity, help_fact, common_fact))(w).messages
    return Chat(maybe_system(w, messages), "I tell the result.", with_others(w, use))


def two_results(w: World) -> tuple[Use, list[Message], str]:
    """Return the results of two calls at once."""
    use = weather(w)
    key, second = next(iter(use.call["arguments"])), w.city()
    first = use.call["arguments"][key]
    a, b = w.of(("sunny", "cloudy", "rainy")), w.of(("windy", "foggy", "clear"))
    calls = [{"name": use.name, "arguments": {key: place}} for place in (first, second)]
    user = w.say("What is the weather in {a} and {b}[?| today?]", a=first, b=second)
    messages: list[Message] = [
        {"role": "user", "content": user},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": a},
        {"role": "tool", "content": b},
    ]
    return use, messages, f"The weather in {first} is {a}. The weather in {second} is {b}."


def no_tool(w: World) -> Chat:
    """A request for which no tool is needed; what is unknown would be searched for if there were a search."""
    skill = w.of((identity, identity, help_fact, copying, memory, common_fact, unknown, extraction))
    other, but = skill(w), ("search",) if skill is unknown else ()
    use = any_use(w)
    while use.purpose in but:
        use = any_use(w)
    return Chat(maybe_system(w, other.messages), other.thought, with_others(w, use, but), other.says)


def untooled(w: World) -> Chat:
    """A request that needs a tool where none is given."""
    use = needing_tool(w)
    messages: list[Message] = [{"role": "user", "content": use.user}]
    messages.append({"role": "assistant", "content": "I have no tool for that."})
    if w.chance(0.25):
        messages[:0] = w.of((identity, unknown, arithmetic, help_fact))(w).messages
    return Chat(maybe_system(w, messages), "This needs a tool, and I have none.")


def tool_talk(w: World) -> Chat:
    """A longer conversation with one set of tools: calls, results and other questions."""
    uses: dict[str, Use] = {}
    for _ in range(w.rng.randint(2, 4)):
        use = any_use(w)
        uses.setdefault(use.name, use)
    messages: list[Message] = []
    for use in uses.values():
        messages += whole(use)
        if w.chance(0.5):
            messages += w.of((identity, help_fact, copying, common_fact, arithmetic))(w).messages
    tools = [use.schema for use in uses.values()]
    w.rng.shuffle(tools)
    if w.chance(0.5):
        last = list(uses.values())[-1]
        while messages[-1]["content"] != last.answer:
            messages.pop()
        messages = messages[:-2]
        return Chat(maybe_system(w, messages), f"I call {last.name}.", tools)
    return Chat(maybe_system(w, messages), "I answer.", tools)


def tool_choice(w: World) -> Chat:
    """A long conversation with some functions, each of which may be asked for more than once."""
    known = {made.name: made for made in functions(w, w.rng.randint(2, 6))}
    messages: list[Message] = []
    for _ in range(w.rng.randint(2, 7)):
        what = known[w.of(list(known))]
        messages += whole(use_of(w, what))
    tools = [tool(made.name, made.description, made.kinds) for made in known.values()]
    return Chat(maybe_system(w, messages[:-2]), f"I call {what.name}.", tools)


def tool_list(w: World) -> Chat:
    """A long conversation in which each of many tools is asked for once."""
    uses: dict[str, Use] = {}
    for kind in w.rng.sample(list(KINDS), w.rng.randint(3, 8)):
        use = renamed(w, kind(w)) if w.chance(0.3) else kind(w)
        if use.name not in {known.name for known in uses.values()}:
            uses.setdefault(use.purpose, use)
    messages = [message for use in uses.values() for message in whole(use)]
    tools = [use.schema for use in uses.values()]
    w.rng.shuffle(tools)
    return Chat(maybe_system(w, messages[:-2]), f"I call {list(uses.values())[-1].name}.", tools)


def named(w: World) -> list[Part]:
    """Names of functions, and which of them does what, in another order: a choice among many, many times over."""
    names = dict[str, str]()
    for verb, noun in actions(w, w.rng.randint(4, 24)):
        names[f"{verb} {w.of(('a', 'the', 'this'))} {noun}"] = function_name(w, verb, noun)
    parts = [("\n".join(f'"{name}"' for name in names.values()) + "\n\n", 0)]
    for said in w.rng.sample(list(names), len(names)):
        asked = said[:1].upper() + said[1:] if w.chance(0.75) else said
        parts += [(asked + ': "', 0), (names[said] + '"\n', 1)]
    return [*parts, ("<|endoftext|>", 0)]
