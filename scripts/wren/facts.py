"""What wren knows about ollamapy, as (question phrases, answer) pairs; each `[a|b]` is one of its alternatives.

Commands and environment variables come from the program's own tables, so that wren says what `--help` says. The rest
is checked against the program by tests/scripts/test_wren_facts.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ollamapy.cli.app import COMMANDS
from ollamapy.config import DEFAULT_PORT, VARIABLES

Facts = Sequence[tuple[str, str]]


def _first_clause(description: str) -> str:
    """Shorten a description of the table: its first clause, and the default if it is one of a few words."""
    description = description.removeprefix("true or false: ")
    default = re.search(r"\(default:? ([^()]{1,24})\)$", description)
    clause = re.split(r"[:;,(]", description)[0].strip()
    return f"{clause} (default {default[1]})" if default else clause


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


VARIABLE_FACTS: Facts = [(name, f"`{name}`: {_first_clause(text)}.") for name, text in VARIABLES.items()]
COMMAND_FACTS: Facts = [
    (f"[`ollamapy {name}`|ollamapy {name}|the {name} command]", f"`ollamapy {name}`: {_lowered(text)}.")
    for name, text in COMMANDS.items()
]
HOW: Facts = [
    (
        "[download|get|fetch|pull|install] [a model|another model|a new model|some model|llama3.2|qwen3|gemma3]",
        "Run `ollamapy pull NAME`, for example `ollamapy pull llama3.2`.",
    ),
    (
        "[run|start|chat with|talk to] a model [in the terminal|from the shell|]",
        "Run `ollamapy run NAME`, for example `ollamapy run llama3.2`.",
    ),
    (
        "[list|see|show] [my |all |the |][installed |local |downloaded |]models[| I have| on disk]",
        "Run `ollamapy list`. It prints the name, size and age of every local model.",
    ),
    (
        "[see|check|find out] [which|what] models [I have|are installed|are on disk|are there]",
        "Run `ollamapy list`. It prints the name, size and age of every local model.",
    ),
    (
        "[see|list|check] [which models are|what models are|what is] [loaded|running|in memory]",
        "Run `ollamapy ps`. It lists the models that are loaded now.",
    ),
    (
        "[see|show|view] the [details|information|parameters] of a model",
        "Run `ollamapy show NAME`. It prints the architecture, parameters and template.",
    ),
    ("[stop|unload] a [running |loaded |]model", "Run `ollamapy stop NAME`. It unloads the model from memory."),
    ("[remove|delete|erase] a model [from disk|]", "Run `ollamapy rm NAME`. It deletes the model from disk."),
    ("[copy|duplicate|clone] a model", "Run `ollamapy cp SOURCE TARGET`. The copy shares the same files."),
    (
        "[rename|give a new name to] a model",
        "Copy it with `ollamapy cp OLD NEW`, then remove the old name with `ollamapy rm OLD`.",
    ),
    (
        "[create|make|build] [a|my own] [custom |]model",
        "Write a Modelfile, then run `ollamapy create NAME -f Modelfile`.",
    ),
    ("[start|launch|run] the [server|daemon|API]", f"Run `ollamapy serve`. It listens on port {DEFAULT_PORT}."),
    (
        "[change|set] the [address|host|port] of the server",
        "Set `OLLAMA_HOST`, for example `OLLAMA_HOST=127.0.0.1:8080 ollamapy serve`.",
    ),
    (
        "[change|move|choose] [where models are stored|the model folder|the model directory]",
        "Set `OLLAMA_MODELS` to the folder you want, then restart the server.",
    ),
    (
        "keep a model [loaded|in memory] [for longer|longer|forever]",
        "Send `keep_alive` with the request: `10m` for ten minutes, `-1` for ever.",
    ),
    (
        "[unload a model right away|free the memory of a model at once]",
        "Send `keep_alive: 0` with a request, or run `ollamapy stop NAME`.",
    ),
    (
        "[use|set|get] a [longer|larger|bigger] context",
        "Set `num_ctx`, for example `PARAMETER num_ctx 8192` in a Modelfile.",
    ),
    (
        "make [answers|the output] [more|less] [random|creative]",
        "Change `temperature`: 0 is steady, 1 is more creative.",
    ),
    (
        "[always get the same answer|make answers repeatable|get reproducible output]",
        "Set `temperature` to 0 and give a fixed `seed`.",
    ),
    (
        "[limit|shorten] the [length|size] of [an answer|the output|answers]",
        "Set `num_predict` to the largest number of tokens you want.",
    ),
    (
        "[stop generation at a word|set a stop word|use a stop sequence]",
        "Set the `stop` option to the text at which generation must end.",
    ),
    (
        "[set|write|change] a system prompt [in a Modelfile|for a model]",
        "Write `SYSTEM` and your text in the Modelfile, then run `ollamapy create`.",
    ),
    ("[use|call] the generate [API|endpoint|route]", "POST to `/api/generate` with `model` and `prompt`."),
    ("[use|call] the chat [API|endpoint|route]", "POST to `/api/chat` with `model` and a list of `messages`."),
    (
        "[use|connect] [the OpenAI client|the OpenAI library|an OpenAI app]",
        f"Set the base URL to `http://localhost:{DEFAULT_PORT}/v1`; any API key will do.",
    ),
    (
        "[use|connect] [the Anthropic client|the Anthropic library|an Anthropic app]",
        f"Set the base URL to `http://localhost:{DEFAULT_PORT}`; it calls `/v1/messages`.",
    ),
    ("[get|make|compute] embeddings", "POST to `/api/embed` with `model` and `input`."),
    (
        "[embed a text|get a vector] [in the terminal|from the shell]",
        'Run `ollamapy embed NAME "your text"`; the vector is printed.',
    ),
    ("[get|force|request] JSON [output|answers]", 'Send `format: "json"`, or a JSON schema as `format`.'),
    (
        "[make the output follow|get output that follows|enforce] a [JSON |]schema",
        "Send the JSON schema as `format`; the answer will match it.",
    ),
    (
        "[use|call|give the model] tools",
        "Send a list of functions as `tools` to `/api/chat`; read `tool_calls` in the answer.",
    ),
    ("[turn off|disable|switch off] streaming", "Send `stream: false`; you get one JSON object at the end."),
    ("[turn off|disable|switch off] thinking", "Send `think: false`, or type `/set nothink` in the chat."),
    ("[turn on|enable|switch on] thinking", "Send `think: true`, or type `/set think` in the chat."),
    ("[hide|not show] [the thinking|the thoughts]", "Use `ollamapy run NAME --hidethinking`."),
    (
        "[measure|see|print] [the speed|how fast a model is|tokens per second]",
        "Use `ollamapy run NAME --verbose`; it prints times and rates.",
    ),
    ("[install|set up] ollamapy", "Run `./install.sh` in the repository."),
    (
        "[try|see] [a demo|ollamapy quickly|the demo]",
        "Run `./install.sh --demo`. It installs ollamapy and streams a first answer.",
    ),
    (
        "[uninstall|get rid of] ollamapy",
        "Run `./install.sh --uninstall`. It asks before it touches your models.",
    ),
    (
        "[install|set up] [the service|a service|ollamapy as a service]",
        "Run `ollamapy service install`. It uses systemd on Linux and launchd on a Mac.",
    ),
    ("[run|start] the tests", "Run `scripts/test` in the repository."),
    (
        "[import|use|add] a GGUF file",
        "Write `FROM ./model.gguf` in a Modelfile and run `ollamapy create NAME -f Modelfile`.",
    ),
    ("[update|refresh] a model", "Run `ollamapy update NAME`; only changed layers are downloaded."),
    ("[quantize|shrink|compress] a model", "Run `ollamapy create NAME -q Q4_K_M -f Modelfile`."),
    (
        "[import|take over] models [of|from] [another program|Ollama|other programs]",
        "Run `ollamapy import`. It takes models that other programs have.",
    ),
    (
        "[log in to|keep a password for|keep credentials for] a registry",
        "Run `ollamapy login`; `ollamapy logout` forgets the credentials.",
    ),
    (
        "[see|check|show] [the|my] settings",
        "Run `ollamapy config show`; with `--origin` it tells where each value comes from.",
    ),
    ("[update|refresh] all [my |]models", "Run `ollamapy update --all`."),
    (
        "[free|save|clean up] disk space",
        "Run `ollamapy prune`; with `--dry-run` it only tells what would be removed.",
    ),
    (
        "[push|upload|publish] a model",
        "Run `ollamapy push NAME`. The name must begin with a registry that you configured.",
    ),
    ("[leave|quit|exit|end] the chat", "Type `/bye` or press Ctrl-D."),
    ("[clear|reset|forget] the [chat history|conversation|session]", "Type `/clear` in the chat."),
    ("[see|get] [help|the commands] in the chat", "Type `/?` in the chat."),
    ("[see|show] the Modelfile of a model", "Run `ollamapy show --modelfile NAME`."),
    (
        "[pull|get|use] a model from Hugging Face",
        "Run `ollamapy pull hf.co/USER/REPO`; add `:Q4_K_M` to choose the quantization.",
    ),
    (
        "[send|use|describe] an image",
        "Use a vision model and send the picture in `images`, encoded as base64.",
    ),
    ("[add|use|load] a LoRA [adapter|]", "Write `ADAPTER ./adapter.gguf` in the Modelfile."),
    (
        "[ask|run] a [single|one-line] question [from the shell|without the chat|]",
        'Run `ollamapy run NAME "your question"`; the answer is printed.',
    ),
    ("[summarise|pipe in] a file", 'Pipe it in: `cat FILE | ollamapy run NAME "Summarise this"`.'),
    ("[check|see|find] the version [of ollamapy|]", "Run `ollamapy --version`, or GET `/api/version`."),
    ("[run on the CPU only|avoid the GPU|turn off the GPU]", "Set `num_gpu` to 0."),
    (
        "[serve|answer] [several|many] requests at [once|the same time]",
        "Nothing is needed: requests are batched together. `OLLAMA_NUM_PARALLEL` sets the limit.",
    ),
    ("[protect|secure] the server", "Keep it on `127.0.0.1`, or set `OLLAMAPY_API_KEYS` and put it behind TLS."),
    ("[list models over|see the models through] the API", "GET `/api/tags` or `/v1/models`."),
    ("[use ollamapy without|work without] [internet|a network]", "Pulled models work offline, and I am built in."),
]
WHAT: Facts = [
    (
        "ollamapy",
        "ollamapy is a local model manager: it pulls, stores, runs and serves GGUF models on your own machine.",
    ),
    ("a Modelfile", "A Modelfile is a text file that describes a model: FROM, SYSTEM, PARAMETER, TEMPLATE and more."),
    ("[the |]FROM [instruction|line]", "FROM names the base of a model: another model or a GGUF file."),
    ("[the |]SYSTEM [instruction|line]", "SYSTEM sets the system prompt of a model."),
    ("[the |]PARAMETER [instruction|line]", "PARAMETER sets a default option, such as `temperature` or `num_ctx`."),
    ("[the |]TEMPLATE [instruction|line]", "TEMPLATE sets how messages become the prompt text."),
    ("[the |]ADAPTER [instruction|line]", "ADAPTER adds a LoRA adapter to the base model."),
    ("[the |]LICENSE [instruction|line]", "LICENSE stores the licence text with the model."),
    ("[the |]MESSAGE [instruction|line]", "MESSAGE adds an example message to the conversation."),
    ("keep_alive", "`keep_alive` is how long a model stays loaded after a request; the default is 5 minutes."),
    ("num_ctx", "`num_ctx` is the context length in tokens."),
    ("num_predict", "`num_predict` is the largest number of tokens in an answer."),
    ("temperature", "`temperature` sets how random the answer is; 0 always takes the most likely token."),
    ("top_p", "`top_p` keeps only the likeliest tokens whose probabilities add up to this value."),
    ("top_k", "`top_k` keeps only this many of the likeliest tokens."),
    ("[the |]seed", "`seed` fixes the random choices, so that answers repeat."),
    ("GGUF", "GGUF is a file format that holds the weights, the tokenizer and the settings of a model."),
    ("quantization", "Quantization stores weights with fewer bits, so that a model needs less memory."),
    ("Q4_K_M", "Q4_K_M is a quantization with about 4.8 bits per weight, a good balance of size and quality."),
    ("Q8_0", "Q8_0 is a quantization with 8.5 bits per weight, very close to the original."),
    ("[the |a |]context [length|window]", "The context length is how many tokens the model can see at once."),
    ("a token", "A token is a piece of text, often a short word or a part of a word."),
    ("[an embedding|embeddings]", "An embedding is a list of numbers that stands for the meaning of a text."),
    ("streaming", "Streaming sends the answer piece by piece while it is made."),
    ("[a system prompt|the system prompt]", "A system prompt is a text that tells the model how to behave."),
    ("tool calling", "Tool calling lets a model ask your program to run a function and use the result."),
    ("/api/tags", "`/api/tags` lists the local models."),
    ("/api/ps", "`/api/ps` lists the loaded models."),
    ("/api/generate", "`/api/generate` completes a prompt."),
    ("/api/chat", "`/api/chat` answers a list of messages."),
    ("/api/embed", "`/api/embed` turns texts into vectors."),
    ("/v1/chat/completions", "`/v1/chat/completions` is the chat route for OpenAI clients."),
    ("/v1/messages", "`/v1/messages` is the chat route for Anthropic clients."),
    ("[the |]KV cache", "The KV cache keeps the work done for earlier tokens, so that it is not repeated."),
    ("a LoRA adapter", "A LoRA adapter is a small set of extra weights that changes what a model does."),
    ("llama.cpp", "llama.cpp is the engine that runs GGUF models; ollamapy uses it."),
]
OTHER: Facts = [
    (
        "[Which|What] port does [ollamapy|the server|the daemon] [use|listen on|run on]?",
        f"ollamapy listens on port {DEFAULT_PORT}.",
    ),
    (
        "[On|At] [which|what] port does [ollamapy|the server|the daemon] [listen|answer|run]?",
        f"ollamapy listens on port {DEFAULT_PORT}.",
    ),
    (
        "[Where|In which folder|In which directory] are [the |my |]models [stored|kept|saved][ on disk|]?",
        "Models lie in the folder that `OLLAMA_MODELS` names; `ollamapy config show` prints it.",
    ),
    (
        "[Where|In which folder|In which directory] does ollamapy [store|keep|save|put] [the |my |]models?",
        "Models lie in the folder that `OLLAMA_MODELS` names; `ollamapy config show` prints it.",
    ),
    (
        "[Does|Can|Will] ollamapy [work|run|work well] on Windows?",
        "No. ollamapy runs on Linux and on macOS, on a CPU or a GPU.",
    ),
    (
        "[What is|Tell me about|Explain|Do you know] [Ollama|ollama]?",
        "Ollama is another model manager. ollamapy speaks its API and reads its models.",
    ),
    (
        (
            "[What is the difference between|How different are|Tell me the difference between] "
            "[pull and run|`ollamapy pull` and `ollamapy run`][| in ollamapy]?"
        ),
        "`ollamapy pull` downloads a model; `ollamapy run` also starts a chat with it.",
    ),
    (
        "[Is|Does] my data [safe|stay private] [with ollamapy|here|]?",
        "Yes. Models run on your machine and nothing is sent elsewhere.",
    ),
    (
        "[Which|What] model should I [pull|try|use] [first|]?",
        "Try `ollamapy pull llama3.2`: it is small and useful.",
    ),
    ("[Which|What] [file format|format] does ollamapy [use|need|read]?", "ollamapy uses GGUF files."),
    (
        "How much memory do I need [for a model|to run a model|]?",
        "A little more than the size of the model file. `ollamapy show NAME` tells you the size.",
    ),
    ("[Which|What] systems does ollamapy run on?", "ollamapy runs on Linux and on macOS, on a CPU or a GPU."),
    (
        "[Does|Will] ollamapy work with [Ollama clients|my Ollama client|programs made for Ollama]?",
        "Yes. ollamapy speaks the same API on the same port.",
    ),
    (
        "Why is the sky blue?",
        "The air scatters blue light from the sun more than red light, so the sky looks blue.",
    ),
    ("[Why is grass green?|What makes grass green?]", "Grass is green because its leaves contain chlorophyll."),
    ("[How many|What number of] days are in a week?", "There are seven days in a week."),
    ("[How many|What number of] months are in a year?", "There are twelve months in a year."),
    ("[How many|What number of] hours are in a day?", "There are 24 hours in a day."),
    ("[How many|What number of] legs does a spider have?", "A spider has eight legs."),
    ("What is the meaning of life?", "Nobody knows for sure, but a kind word and a good lunch help."),
    ("[Tell|Give] me a [fun |]fact[ please|].", "A hummingbird can fly backwards."),
    (
        "[Tell|Give] me [a|another] joke[ please|].",
        "Why did the small model cross the road? To get to the other token.",
    ),
]
