"""Tools with one request for each: what the user says, the call, the result, and the sentence made from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wren import words
from wren.world import World

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """One use of one tool."""

    schema: Schema
    user: str
    call: dict[str, Any]
    result: str
    answer: str

    @property
    def name(self) -> str:
        """The tool's name."""
        return str(self.call["name"])

    @property
    def purpose(self) -> str:
        """What the tool is for; of two tools with one purpose, a request can't say which is meant."""
        described = str(self.schema["function"]["description"]).lower()
        return next((topic for topic in ("weather", "search") if topic in described), described)


def tool(name: str, description: str, parameters: dict[str, Any], required: Sequence[str] | None = None) -> Schema:
    """Return an OpenAI-style function; a parameter is its type or its JSON schema."""
    properties = {key: value if isinstance(value, dict) else {"type": value} for key, value in parameters.items()}
    wanted = list(parameters if required is None else required)
    schema = {"type": "object", "properties": properties, "required": wanted}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def call(name: str, /, **arguments: Any) -> dict[str, Any]:
    """Return a call."""
    return {"name": name, "arguments": arguments}


def text_type(w: World) -> Any:
    """Return the type of a text parameter, sometimes with a description."""
    if w.chance(0.7):
        return "string"
    return {
        "type": "string",
        "description": w.of(("The value", "Text", "The city", "What to use", "Name of the thing")),
    }


def either(w: World, key: str, value: Any) -> str:
    """Return a result as plain text or as JSON."""
    return str(w.of((str(value), json.dumps({key: value}, ensure_ascii=False))))


def weather(w: World) -> Use:
    """The weather of a city."""
    name = w.of(("get_weather", "get_current_weather", "weather", "fetch_weather", "get_temperature", "weather_now"))
    key, city = w.of(("city", "location", "place")), w.city()
    has_unit = w.chance(0.4)
    unit = w.of(("celsius", "fahrenheit")) if has_unit and w.chance(0.6) else ""
    parameters: dict[str, Any] = {key: text_type(w)}
    if has_unit:
        parameters["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    description = w.say("[Get|Return|Look up] the [current |]weather [in|of|for] a [city|place|location]")
    user = w.request(
        "[What is|What's|How is|Tell me|Check] the [weather|temperature|weather like] in {c}"
        "[ now| today| right now|]{u}?",
        "[Is it|Will it be] [cold|warm|hot|sunny|raining] in {c}[ today|]{u}?",
        "[Weather|Temperature] in {c}{u}[?| please.]",
        "[Give me|Show me|Get|Find out|Look up] the [weather|temperature] [in|for] {c}{u}[.| please.]",
        "How [warm|cold|hot|sunny] is it in {c}[ today| now| right now|]{u}?",
        "I [want|need|would like] to know the [weather|temperature] in {c}[ today|]{u}.",
        "[Can|Could] you [check|tell me] the [weather|temperature] in {c}{u}?",
        "[Please |]show the [weather|temperature|forecast] [for|in] {c}{u}[ now| today|].",
        "[Do I need|Should I take] [a coat|an umbrella|a hat|sunglasses] in {c}[ today|]{u}?",
        "[What|How] will the weather be in {c}[ today| tomorrow|]{u}?",
        "I am [going|travelling|flying|moving] to {c}. [What is|How is|Tell me] the weather there{u}[?|.]",
        "{c}: [weather|temperature|forecast]{u}[?|, please.| now.]",
        c=city,
        u=f" in {unit}" if unit else "",
    )
    degrees = w.number(0, 40)
    sky = w.of(("sunny", "cloudy", "rainy", "windy", "foggy", "snowy", "clear", "stormy"))
    about = f"The weather in {city} is"
    result, answer = w.of(
        (
            (f"{degrees} degrees and {sky}", f"{about} {degrees} degrees and {sky}."),
            (f"{sky}, {degrees}C", f"{about} {sky}, {degrees}C."),
            (f"{sky}, {degrees} degrees", f"{about} {sky}, {degrees} degrees."),
            (json.dumps({"temperature": degrees, "condition": sky}), f"{about} {sky} with {degrees} degrees."),
            (json.dumps({"city": city, "temperature": degrees}, ensure_ascii=False), f"{about} {degrees} degrees."),
            (str(degrees), f"{about} {degrees} degrees."),
            (sky, f"{about} {sky}."),
        )
    )
    arguments = {key: city} | ({"unit": unit} if unit else {})
    return Use(tool(name, description, parameters, [key]), user, call(name, **arguments), result, answer)


def clock(w: World) -> Use:
    """The time in a city."""
    name, key = w.of(("get_time", "get_current_time", "current_time", "clock")), w.of(("city", "location", "timezone"))
    city, time = w.city(), f"{w.number(0, 23):02d}:{w.number(0, 59):02d}"
    user = w.request(
        "What time is it [now |right now |]in {c}?",
        "[Tell me|Give me|Check|Get|Look up] the [time|current time|local time] in {c}[.| please.]",
        "What is the [time|current time|local time] in {c}[?| now?]",
        "How late is it [now |]in {c}?",
        "[Do you know|Can you tell me|Tell me] what time it is in {c}?",
        "[What|Which] [hour|time] do they have [now |]in {c}?",
        "[Time|Current time|Local time|Clock] in {c}[?|, please.| now.]",
        "I [want|need|would like] to know the [time|local time|hour] in {c}.",
        "[Is it|Will it be] [late|early|morning|night|noon] in {c}[ now|]?",
        "[Please |][show|find|read|say] the [time|clock|hour] in {c}.",
        c=city,
    )
    schema = tool(name, "Get the time in a city", {key: text_type(w)})
    return Use(schema, user, call(name, **{key: city}), either(w, "time", time), f"It is {time} in {city}.")


def calculator(w: World) -> Use:
    """A sum, a product or a difference of large numbers."""
    sign, names, verb, word = w.of(
        (
            ("+", ("add", "add_numbers", "sum", "add_two_numbers"), "Add", "plus"),
            ("*", ("multiply", "product", "multiply_numbers"), "Multiply", "times"),
            ("-", ("subtract", "minus", "difference"), "Subtract", "minus"),
        )
    )
    name, a, b, kind = w.of(names), w.number(), w.number(), w.of(("integer", "number"))
    x, y = w.of((("a", "b"), ("x", "y"), ("first", "second"), ("num1", "num2")))
    total = {"+": a + b, "*": a * b, "-": a - b}[sign]
    by_verb = {
        "+": "[Add|Sum] {a} and {b}.",
        "*": "Multiply {a} [and|by|with] {b}.",
        "-": "[Take|Subtract] {b} from {a}.",
    }
    user = w.request(
        "What is {a} {s} {b}?",
        "[Compute|Calculate|Work out] {a} {s} {b}.",
        by_verb[sign],
        "How much is {a} {s} {b}?",
        "[Please |][compute|calculate|work out]: {a} {s} {b}",
        "[I need|Tell me|Give me|Find] the result of {a} {s} {b}.",
        "[Can|Could] you [compute|calculate|work out] {a} {s} {b}?",
        "[Do|Solve|Evaluate|Show me|Find] {a} {s} {b}[.| for me.| please.]",
        "What [does|do|will] {a} {s} {b} [make|give|come to]?",
        "[And|Now|Then|Next:] {a} {s} {b}[?|.| =]",
        "I [want|need|would like] to know {a} {s} {b}.",
        a=a,
        b=b,
        s=w.of((sign, word)),
    )
    schema = tool(name, f"{verb} two numbers", {x: kind, y: kind})
    return Use(schema, user, call(name, **{x: a, y: b}), either(w, "result", total), f"The result is {total}.")


def search(w: World) -> Use:
    """A search."""
    name, key = w.of(("search", "web_search", "search_web", "lookup", "find")), w.of(("query", "q", "text"))
    query, found = w.word(words.TOPICS) if w.chance(0.4) else w.phrase(1, 3), w.phrase(2, 4)
    user = w.request(
        "[Search|Look|Search the web] for {q}.",
        "[Look up|Find|Google|Search] {q}[ online| on the web|].",
        "[Can|Could] you [search for|look up|find|google] {q}[ for me|]?",
        "I [want|need|would like] [to find|to look up|to search for] {q}.",
        "[Do|Run|Make] a [search|web search] for {q}.",
        "[Find|Search] [something|pages|results] [about|for|on] {q}.",
        "[Please |][search|look|check|hunt|browse] [for|the web for|online for|the internet for] {q}.",
        "[See|Check|Find out] what the [web|internet] [has|says] [on|about] {q}.",
        "[Get|Show|Bring|Fetch] me [results|pages|news|links|articles] [for|on|about] {q}.",
        "[Search|Query|Look up|Web search]: {q}",
        "[Which|What] [pages|results|sites] [are there|can you find] [for|on|about] {q}?",
        "[Let us|Let's|Now|Then|Next,] [search|look] for {q}.",
        q=query,
    )
    schema = tool(name, w.of(("Search the web", "Search the internet", "Search for something")), {key: text_type(w)})
    return Use(schema, user, call(name, **{key: query}), either(w, "found", found), f"I found this: {found}")


def exchange(w: World) -> Use:
    """Money of another country."""
    name, amount, value = w.of(("convert", "convert_currency", "exchange")), w.number(1), w.number(1)
    a, b = w.rng.sample(["USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "SEK", "NOK", "INR"], 2)
    user = w.request(
        "[Convert|Change|Exchange] {n} {a} [to|into] {b}.",
        "[How much|What] is {n} {a} in {b}?",
        "I [want|need|would like] to [convert|change|exchange] {n} {a} [to|into] {b}.",
        "How many {b} [are|do I get for|will I get for] {n} {a}?",
        "[Can|Could] you [convert|change|exchange] {n} {a} [to|into] {b}?",
        "[Please |][turn|switch|bring|take] {n} {a} [to|into] {b}.",
        "{n} {a} [in|to|as|into] {b}[?|.|, please.]",
        "[Show|Tell|Give] me {n} {a} [in|as] {b}.",
        n=amount,
        a=a,
        b=b,
    )
    schema = tool(name, "Convert money", {"amount": "number", "from": "string", "to": "string"})
    arguments = {"amount": amount, "from": a, "to": b}
    return Use(schema, user, call(name, **arguments), either(w, "value", value), f"{amount} {a} is {value} {b}.")


def message(w: World) -> Use:
    """A message to somebody."""
    name, who, what = w.of(
        (
            ("send_message", "to", "text"),
            ("send_email", "to", "body"),
            ("send_sms", "recipient", "message"),
            ("notify", "user", "message"),
        )
    )
    person, text = w.name(), w.phrase(1, 4)
    user = w.request(
        "[Send|Write|Post] {n} [a message|an email|a note|a text|this message|the note]: {t}",
        "[Tell|Message|Text|Email|Inform|Write to] {n}: {t}",
        "[Send|Write] [a message|an email|a note|a text] to {n} saying {t}",
        "[Send|Write|Post] [a message|an email|a note|this] to {n}: {t}",
        "[Can|Could] you [tell|message|text|email] {n}: {t}",
        "[Please |]let {n} know: {t}",
        "I [want|need] to [tell|message|text|email] {n}: {t}",
        "[Forward to|Reply to|Answer|Ping|Mail|Notify] {n}: {t}",
        "[Say|Pass this on|Report|Forward this] to {n}: {t}",
        "[Drop|Leave|Give] {n} [a line|a note|a message|this note|this message]: {t}",
        "[Send|Mail|Text|Forward] [the words|the text|this text|these words] to {n}: {t}",
        "[Message|Mail|Note|Text|Email] [for|to] {n}: {t}",
        "[Would|Will|Can] you [write|send|forward] this to {n}: {t}",
        n=person,
        t=text,
    )
    schema = tool(name, "Send a message", {who: text_type(w), what: "string"})
    result = w.of(("sent", "ok", json.dumps({"status": "sent"})))
    return Use(schema, user, call(name, **{who: person, what: text}), result, f"I sent the message to {person}.")


def timer(w: World) -> Use:
    """A timer."""
    name, minutes = w.of(("set_timer", "start_timer", "timer")), w.number(1, 90)
    user = w.request(
        "[Set|Start] a timer for {n} minutes.",
        "[Wake|Call|Remind] me in {n} minutes.",
        "I [need|want] a timer [of|for] {n} minutes.",
        "[Set|Start|Make] [a|the] {n} minute timer[.| please.]",
        "[Tell|Warn|Alert|Remind] me [after|in] {n} minutes.",
        "[Timer|Alarm] [for|in] {n} minutes[.| please.]",
        "[Can|Could] you set a timer [for|of] {n} minutes?",
        "[Begin|Run|Create|Give me] a timer [for|of] {n} minutes[.| please.]",
        "[Ring|Beep|Stop me|Notify me] [in|after] {n} minutes.",
        "Let me know [when|after|once] {n} minutes [have passed|are over|are up].",
        "[Count down|Wait|Measure] {n} minutes[.| for me.| please.]",
        n=minutes,
    )
    schema = tool(name, "Set a timer", {"minutes": "integer"})
    return Use(schema, user, call(name, minutes=minutes), "ok", f"The timer is set for {minutes} minutes.")


def reading(w: World) -> Use:
    """A file."""
    name, key = w.of((("read_file", "path"), ("open_file", "path"), ("get_file", "filename"), ("cat", "file")))
    path, text = f"{w.invented()}.{w.of(('txt', 'py', 'md', 'json'))}", w.phrase(2, 4)
    user = w.request(
        "[Read|Open|Show me|Print|Display|Load] [the file |]{p}[.| please.]",
        "What [is|is written|stands] in [the file |]{p}?",
        "What does [the file |]{p} say?",
        "I [want|need|would like] to [read|see] [the file |]{p}.",
        "[Can|Could] you [read|open|show me] [the file |]{p}?",
        "[Tell me|Show me|Give me] the [contents|text] of {p}.",
        "[Please |][read|open|load|print|display|fetch] [the file |]{p} for me.",
        "What is [inside|within|the text of|the content of] {p}?",
        "[Have a look|Look|Let me look] [at|into|inside] [the file |]{p}.",
        "[Which|What] [text|words|lines] [is|are] [in|inside] {p}?",
        "{p}: [read|open|show] it[.|, please.| for me.]",
        "[Let me|I must|I should] [see|read] [what is in |]{p}.",
        p=path,
    )
    schema = tool(name, "Read a file", {key: text_type(w)})
    return Use(schema, user, call(name, **{key: path}), text, f"The file says: {text}")


def plain(w: World) -> Use:
    """A tool without parameters."""
    kinds: dict[str, tuple[tuple[str, ...], str, str]] = {
        "roll_dice": (
            (
                "[|Please ][roll|throw] [a die|the dice|a dice][.| for me.]",
                "[Let us|Now|Please|Can you|Could you] [roll|throw] [a die|the die|the dice|dice][.| once.| again.]",
            ),
            "The die shows",
            str(w.number(1, 6)),
        ),
        "get_date": (
            (
                "[What is|Tell me|Give me|Check|Say] [the date|today's date|the current date][.| please.| now.]",
                "[Which|What] [day|date] [is it|is today|do we have][ today| now|]?",
            ),
            "The date is",
            f"2026-{w.number(10, 12)}-{w.number(10, 28)}",
        ),
        "get_battery": (
            (
                "[Check|What is|Tell me|Give me|Show] the [state of the battery|battery|battery level][.| please.]",
                "[How full|How charged|How empty|How low] is [the|my] battery[ now|]?",
            ),
            "The battery is at",
            f"{w.number(1, 99)} percent",
        ),
        "get_user": (
            (
                "[Who|Which user|Tell me who|Check who|Find out who] is [logged in|signed in|the user][.|?| now?]",
                "[Whose|Which|What] [account|login] is [this|active|in use|open][ now|]?",
                "[Who|Which user|Tell me who] is [using|on] [this computer|the system|this machine|it][ now|][?|.]",
            ),
            "The user is",
            w.name(),
        ),
    }
    name = w.of(list(kinds))
    asked, answer, value = kinds[name]
    schema = tool(name, name.replace("_", " ").capitalize(), {})
    return Use(schema, w.request(*asked), call(name), value, f"{answer} {value}.")


def property_of(w: World) -> Use:
    """One property of one thing."""
    name, key, value = w.of(
        (
            ("get_population", "city", w.city()),
            ("get_price", "item", w.word(words.OBJECTS)),
            ("get_stock_price", "symbol", w.invented(2, 2).upper()),
            ("get_age", "name", w.name()),
            ("get_status", "id", w.letters()),
            ("get_owner", "code", w.letters()),
        )
    )
    what, result = name[4:].replace("_", " "), w.name() if name == "get_owner" else w.number(1)
    user = w.request(
        "[What is|Tell me|Get|Find|Give me|Look up|Check|Show me] the {w} of {v}[.| please.]",
        "[Can|Could] you [tell me|get|find|look up|check] the {w} of {v}?",
        "I [want|need|would like] [|to know |to see ]the {w} of {v}.",
        "[Get|Find|Look up|Check|Show] the {w} for {v}.",
        "[Please |][say|show|fetch|get|return] the {w} of {v}.",
        "[What|Which] {w} does {v} have?",
        "[And|Now|So] the {w} of {v}[?|.|, please.]",
        "{v}: [what is|tell me|give me|show me] the {w}[.|?]",
        "[How|What] about the {w} [of|for] {v}?",
        w=what,
        v=value,
    )
    schema = tool(name, f"Get the {what}", {key: text_type(w)})
    return Use(schema, user, call(name, **{key: value}), either(w, what, result), f"The {what} of {value} is {result}.")


NUMBER_KEYS = ("id", "size", "level", "speed", "count")
TEXT_KEYS = ("name", "code", "label", "owner", "place", "date", "reason", "colour", "tag", "user")


def action(w: World) -> tuple[str, str]:
    """Return a verb and a noun, which may both mean nothing."""
    return (w.invented(), w.invented(1, 2)) if w.chance(0.25) else (w.word(words.VERBS), w.word(words.NOUNS))


def actions(w: World, count: int) -> list[tuple[str, str]]:
    """Return different actions; half of the times they have verbs and nouns in common."""
    made = [action(w) for _ in range(count)]
    if w.chance(0.5):
        verbs, nouns = ({pair[i] for pair in made[: count // 2 + 1]} for i in (0, 1))
        made = [(w.of(sorted(verbs)), w.of(sorted(nouns))) for _ in range(count)]
    return list(dict.fromkeys(made))


def function_name(w: World, verb: str, noun: str) -> str:
    """Return how a programmer may call an action."""
    name: str = w.of((f"{verb}_{noun}", f"{verb}_{noun}", f"{noun}_{verb}", f"{verb}{noun.capitalize()}"))
    return name


@dataclass(frozen=True, slots=True)
class Function:
    """A function that exists nowhere: what it does, and its parameters with their types."""

    verb: str
    noun: str
    name: str
    kinds: dict[str, str]
    description: str


def function_for(w: World, verb: str, noun: str) -> Function:
    """Return a function that does something."""
    keys = w.rng.sample(NUMBER_KEYS + TEXT_KEYS, w.rng.randint(1, 2))
    kinds = {key: w.of(("integer", "number")) if key in NUMBER_KEYS else "string" for key in keys}
    description = f"{verb.capitalize()} a {noun}" if w.chance(0.8) else f"{verb.capitalize()} something"
    return Function(verb, noun, function_name(w, verb, noun), kinds, description)


def functions(w: World, count: int) -> list[Function]:
    """Return some functions."""
    return [function_for(w, verb, noun) for verb, noun in actions(w, count)]


def made_up(w: World) -> Use:
    """A function that exists nowhere; the request names the action and the parameters."""
    return use_of(w, function_for(w, *action(w)))


def use_of(w: World, what: Function) -> Use:
    """Return a use of a function."""
    texts = (w.thing, w.thing, w.letters, lambda: f"{w.invented(1, 2).upper()}-{w.number()}")
    values = {key: w.number() if key in NUMBER_KEYS else w.of(texts)() for key in what.kinds}
    said = " and ".join(
        f'{key} "{value}"' if isinstance(value, str) and w.chance(0.4) else f"{key} {value}"
        for key, value in values.items()
    )
    user = w.request(
        "[Please |]{v} [the|a|this] {n} with {s}.",
        "[Call|Use|Run|Invoke|Execute|Try] [|the tool |the function ]{t} with {s}.",
        "[Can you|Could you|Would you] {v} [the|a|this] {n} with {s}?",
        "I [want|need|would like] to {v} [the|a] {n} with {s}.",
        "[Now|Then|Next|Go and] {v} the {n} with {s}.",
        "[Go ahead and|Just|You should|You must|Let us] {v} [the|a|this] {n} with {s}.",
        "[With|Using|Given] {s}[,|:] {v} [a|the|this] {n}.",
        "[Take|Give|Pass] {s} and {v} [the|a|this] {n}.",
        "[Call|Use|Run|Invoke] {t}[:| and pass] {s}",
        "{v} [the|a|this|that] {n}[:|, given|, using] {s}",
        v=what.verb,
        n=what.noun,
        t=what.name,
        s=said,
    )
    value = w.of((w.phrase(1, 3), str(w.number()), "done", "ok"))
    result, answer = w.of(
        (
            (value, f"The result is {value}."),
            (json.dumps({"status": value}, ensure_ascii=False), f"The status is {value}."),
            (json.dumps({"error": value}, ensure_ascii=False), f"The tool reported an error: {value}."),
        )
    )
    schema = tool(what.name, what.description, what.kinds)
    return Use(schema, user[:1].upper() + user[1:], call(what.name, **values), result, answer)


KINDS: dict[Callable[[World], Use], float] = {
    weather: 3.5, clock: 1, calculator: 2, search: 2, exchange: 1, message: 2, timer: 1, reading: 1, plain: 1,
    property_of: 1.5, made_up: 9,
}  # fmt: skip


# Without tools wren answers the others in its own way.
NEEDING_TOOLS = {kind: weight for kind, weight in KINDS.items() if kind not in (calculator, search)}


def any_use(w: World) -> Use:
    """Return a use of any tool."""
    (kind,) = w.rng.choices(list(KINDS), list(KINDS.values()))
    use = kind(w)
    return renamed(w, use) if w.side == "train" and kind is not made_up and w.chance(0.3) else use


def needing_tool(w: World) -> Use:
    """Return a use of a tool whose request can't be answered without it."""
    (kind,) = w.rng.choices(list(NEEDING_TOOLS), list(NEEDING_TOOLS.values()))
    return kind(w)


def renamed(w: World, use: Use) -> Use:
    """Return a use of the same tool under another name, as programs have it: what counts is what the list says."""
    head, *tail = use.name.split("_")
    camel = head + "".join(part.capitalize() for part in tail)
    server = w.invented(1, 2)
    name = w.of(
        (
            camel,
            use.name.replace("_", "-"),
            f"{server}_{use.name}",
            f"mcp__{server}__{use.name}",
            f"{server}-{use.name}",
        )
    )
    function, arguments = {**use.schema["function"], "name": name}, use.call["arguments"]
    if len(required := function["parameters"]["required"]) == 1 and w.chance(0.7):
        old, new = required[0], other_key(w, required[0])
        function["parameters"] = with_key(function["parameters"], old, new)
        arguments = {new if key == old else key: value for key, value in arguments.items()}
    return replace(use, schema={**use.schema, "function": function}, call=call(name, **arguments))


OTHER_KEYS = ("input", "value", "target", "arg", "item", "data", "what", "which", "subject", "term", "place", "city",
              "location", "town", "area", "where", "name", "text", "query", "key")  # fmt: skip


def other_key(w: World, key: str) -> str:
    """Return another name for a parameter; the only one that is required can have any."""
    longer = f"{key}_{w.of(('name', 'value', 'id'))}"
    name: str = w.of((longer, f"the{key.capitalize()}", w.of(OTHER_KEYS), w.invented()))
    return name


def with_key(parameters: Schema, old: str, new: str) -> Schema:
    """Return the schema of parameters with another name for one of them."""
    properties = {new if key == old else key: schema for key, schema in parameters["properties"].items()}
    return {**parameters, "properties": properties, "required": [new]}
