"""Which requests each benchmark scenario sends; the same ones go to every server of a round."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from bench_lib.load import Request

WORD_LIST = (
    "able about above across after again age air all along also always among animal answer area around ask away back "
    "base bear beauty begin behind best better between big bird black blue boat body book both box boy bring brown "
    "build busy call came can car care carry center change city class clear close cold color come common complete "
    "contain correct could country course cover cross cry dark day deep develop differ direct dog door down draw dry "
    "during each early earth ease east eat end enough even ever every example eye face fact fall family far farm fast"
)
WORDS = WORD_LIST.split()


RECORDS: dict[str, object] = {
    "type": "array",
    "minItems": 100,
    "maxItems": 100,
    "items": {
        "type": "object",
        "properties": {
            "name": {"enum": ["Ada", "Grace", "Edsger", "Barbara", "Donald"]},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "is_active": {"type": "boolean"},
        },
        "required": ["name", "age", "is_active"],
        "additionalProperties": False,
    },
}  # longer than any answer may be, so that none ends before num_predict


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt and how many tokens its answer shall have; with a `schema`, what the answer is held to."""

    text: str
    num_predict: int
    delay_seconds: float = 0.0
    schema: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Clients that each send `requests` prompts, one after the other.

    A prompt is `shared_words` words that all prompts of the run begin with and `prompt_words` of its own. The last
    `long_clients` clients come `long_delay_seconds` later, with `long_words` words of their own instead. With
    `grown_words` a client's next prompt is its last one with so many words more.
    """

    name: str
    clients: int
    requests: int = 1
    prompt_words: int = 32
    num_predict: int = 128
    shared_words: int = 0
    long_clients: int = 0
    long_words: int = 0
    long_delay_seconds: float = 0.0
    grown_words: int = 0
    is_constrained: bool = False

    @property
    def is_uniform(self) -> bool:
        """Return whether all clients do the same, with nothing in common."""
        return not (self.shared_words or self.long_clients or self.grown_words or self.is_constrained)

    @property
    def context_tokens(self) -> int:
        """Return a context length that holds its longest prompt (a word is two tokens at most) and answer."""
        words = self.shared_words + max(self.prompt_words, self.long_words) + (self.requests - 1) * self.grown_words
        return -(-(2 * words + self.num_predict) // 256) * 256


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("1", clients=1, requests=2),
        Scenario("4", clients=4),
        Scenario("8", clients=8),
        Scenario("16", clients=16),
        Scenario("32", clients=32),
        Scenario("50", clients=50),
        Scenario("64", clients=64),
        Scenario("128", clients=128, num_predict=64),
        Scenario("shared", clients=8, requests=2, prompt_words=16, shared_words=600, num_predict=32),
        Scenario("mixed", clients=5, num_predict=768, long_clients=1, long_words=6000, long_delay_seconds=4.0),
        Scenario("agents", clients=32, requests=3, prompt_words=200, grown_words=40, num_predict=32),
        Scenario("json", clients=4, is_constrained=True),  # beside "4", which is the same in free text
    )
}


def make_prompts(scenario: Scenario, seed: str) -> list[list[Prompt]]:
    """Return each client's prompts; another seed shares no beginning with them, so nothing is cached between runs."""
    source = random.Random(f"{scenario.name} {seed}")
    shared = source.choices(WORDS, k=scenario.shared_words)

    def make_all(client: int) -> list[Prompt]:
        is_long = client >= scenario.clients - scenario.long_clients
        before: list[str] = []
        prompts = []
        for request in range(scenario.requests):
            n_words = scenario.long_words if is_long else scenario.grown_words if before else scenario.prompt_words
            own = before + source.choices(WORDS, k=n_words)
            before = own if scenario.grown_words else []
            delay = scenario.long_delay_seconds if is_long and request == 0 else 0.0
            schema = RECORDS if scenario.is_constrained else None
            prompts.append(Prompt(" ".join(shared + own), scenario.num_predict, delay, schema))
        return prompts

    return [make_all(client) for client in range(scenario.clients)]


def make_requests(prompts: list[list[Prompt]], form: Callable[[Prompt, int], Request]) -> list[list[Request]]:
    """Return the prompts as a server's requests; each has a seed of its own."""
    return [
        [form(prompt, 1000 * client + number) for number, prompt in enumerate(mine)]
        for client, mine in enumerate(prompts)
    ]
