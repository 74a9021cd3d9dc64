"""How each model family writes one tool call, in the form in which its models saw calls in training."""

from __future__ import annotations

from dataclasses import dataclass

NAME, ARGUMENTS, KEY, VALUE, IS_TEXT = "%NAME%", "%ARGUMENTS%", "%KEY%", "%VALUE%", "%IS_TEXT%"


@dataclass(frozen=True, slots=True)
class CallForm:
    """A call as text with placeholders: `text` has NAME and ARGUMENTS.

    Without `pair`, ARGUMENTS is a JSON object; else each argument is written by it, with KEY, VALUE and perhaps IS_TEXT
    (true or false), `separator` in between. Texts stand between `quote`s, or are JSON where that is None; other values
    are JSON.
    """

    text: str
    pair: str = ""
    separator: str = ""
    quote: str | None = ""


def json_form(before: str, after: str = "", *, arguments: str = "arguments") -> CallForm:
    """Return the form of a JSON object with a name and arguments between two texts."""
    return CallForm(f'{before}{{"name": "{NAME}", "{arguments}": {ARGUMENTS}}}{after}')


def tagged_form(template_source: str) -> CallForm:
    """Return the form between `<tool_call>` tags: GLM's pairs, or JSON as Hermes and Qwen have it."""
    if "<arg_key>" in template_source:
        pair = f"<arg_key>{KEY}</arg_key>\n<arg_value>{VALUE}</arg_value>\n"
        return CallForm(f"<tool_call>{NAME}\n{ARGUMENTS}</tool_call>", pair)
    return json_form("<tool_call>\n", "\n</tool_call>")


def function_form(template_source: str) -> CallForm:
    """Return the form of Qwen3-Coder's functions, or of Functionary's, whose arguments are JSON."""
    if "<parameter=" not in template_source:
        return CallForm(f"<function={NAME}>{ARGUMENTS}</function>")
    text = f"<tool_call>\n<function={NAME}>\n{ARGUMENTS}</function>\n</tool_call>"
    return CallForm(text, f"<parameter={KEY}>\n{VALUE}\n</parameter>\n")


def mistral_form(template_source: str) -> CallForm:
    """Return Mistral's form, with `[ARGS]` or as the older list."""
    if "[ARGS]" in template_source:
        return CallForm(f"[TOOL_CALLS]{NAME}[ARGS]{ARGUMENTS}")
    return json_form("[TOOL_CALLS][", "]")


def deepseek_form(template_source: str) -> CallForm:
    """Return DeepSeek's form, or the older one with a fence around the arguments."""
    call = f"{NAME}<｜tool▁sep｜>{ARGUMENTS}"
    if "```json" in template_source:
        call = f"function<｜tool▁sep｜>{NAME}\n```json\n{ARGUMENTS}\n```"
    return CallForm(f"<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>{call}<｜tool▁call▁end｜><｜tool▁calls▁end｜>")


def _invokes(prefix: str, outer: str, is_text: str = "") -> CallForm:
    call = f'<{prefix}invoke name="{NAME}">\n{ARGUMENTS}</{prefix}invoke>'
    pair = f'<{prefix}parameter name="{KEY}"{is_text}>{VALUE}</{prefix}parameter>\n'
    return CallForm(f"<{outer}>\n{call}\n</{outer}>", pair)


def _python(before: str, after: str) -> CallForm:
    return CallForm(f"{before}{NAME}({ARGUMENTS}){after}", f"{KEY}={VALUE}", ", ", None)


def _gemma(before: str, after: str, quote: str) -> CallForm:
    return CallForm(f"{before}call:{NAME}{{{ARGUMENTS}}}{after}", f"{KEY}:{VALUE}", ",", quote)


DSML = _invokes("｜DSML｜", "｜DSML｜tool_calls", f' string="{IS_TEXT}"')
OLDER_DSML = _invokes("｜DSML｜", "｜DSML｜function_calls", f' string="{IS_TEXT}"')
MINIMAX = _invokes("", "minimax:tool_call")
ATEM = _invokes("atem:", "atem:function_calls")
SEED = CallForm(
    f"<seed:tool_call>\n<function={NAME}>\n{ARGUMENTS}</function>\n</seed:tool_call>",
    f"<parameter={KEY}>{VALUE}</parameter>\n",
)
KIMI = CallForm(
    f"<|tool_calls_section_begin|><|tool_call_begin|>functions.{NAME}:0<|tool_call_argument_begin|>{ARGUMENTS}"
    "<|tool_call_end|><|tool_calls_section_end|>"
)
SOLAR = CallForm(
    f"<|tool_calls|><|tool_call:begin|>0<|tool_call:name|>{NAME}<|tool_call:args|>{ARGUMENTS}<|tool_call:end|>"
)
APERTUS = CallForm(f'<|tools_prefix|>[{{"{NAME}": {ARGUMENTS}}}]<|tools_suffix|>')
COHERE = CallForm(
    f'<|START_ACTION|>[\n    {{"tool_call_id": "0", "tool_name": "{NAME}", "parameters": {ARGUMENTS}}}\n]<|END_ACTION|>'
)
COMMAND_R = CallForm(
    f'Action:\n```json\n[\n    {{\n        "tool_name": "{NAME}",\n        "parameters": {ARGUMENTS}\n    }}\n]```'
)
HUNYUAN = CallForm(
    f"<tool_calls:opensource>\n<tool_call:opensource>{NAME}<tool_sep:opensource>\n{ARGUMENTS}"
    "</tool_call:opensource>\n</tool_calls:opensource>",
    f"<arg_key:opensource>{KEY}</arg_key:opensource>\n<arg_value:opensource>{VALUE}</arg_value:opensource>\n",
)
MINIMAX_3 = CallForm(
    f']<]minimax[>[<tool_call>\n]<]minimax[>[<invoke name="{NAME}">{ARGUMENTS}]<]minimax[>[</invoke>\n'
    "]<]minimax[>[</tool_call>",
    f"]<]minimax[>[<{KEY}>{VALUE}]<]minimax[>[</{KEY}>",
)
GIGACHAT = json_form("<|message_sep|>\n\nfunction call<|role_sep|>\n")
MINICPM = CallForm(f'<function name="{NAME}">{ARGUMENTS}</function>', f'<param name="{KEY}">{VALUE}</param>')
RECIPIENT = CallForm(f"{NAME}\n{ARGUMENTS}")
XTML = CallForm(
    f'<|close|>response<|sep|><|open|>tools<|sep|><|open|>call tool="{NAME}" index="1"<|sep|>'
    f'<|open|>json type="object"<|sep|>{ARGUMENTS}'
    "<|close|>json<|sep|><|close|>call<|sep|><|close|>tools<|sep|>"
)
LFM = _python("<|tool_call_start|>[", "]<|tool_call_end|>")
OLMO = _python("<function_calls>", "</function_calls>")
GEMMA = _gemma("<|tool_call>", "<tool_call|>", '<|"|>')
FUNCTION_GEMMA = _gemma("<start_function_call>", "<end_function_call>", "<escape>")
LLAMA = json_form("", arguments="parameters")
# The call ends with a token that ends the turn, which is left to the model.
HARMONY = CallForm(f"<|channel|>commentary to=functions.{NAME} <|constrain|>json<|message|>{ARGUMENTS}")


def generic_form(tag: str) -> CallForm:
    """Return the form of an inferred tag."""
    if tag in ("{", "["):
        return json_form("[" if tag == "[" else "", "]" if tag == "[" else "")
    fence = "\n```" if "```" in tag else ""
    is_list = tag.rstrip().endswith("[")
    return json_form(f"{tag}\n" if fence and not is_list else tag, f"{']' * is_list}{fence}")
