"""What is shown of an answer."""

from __future__ import annotations

from ollamapy.cli.answer import AnswerText, statistics, tool_call_text
from ollamapy.dialects.native import FunctionRecord, MetricsRecord, ToolCallRecord


def shown(text: AnswerText, *pieces: tuple[str, str]) -> str:
    return "".join([*(text.feed(*piece) for piece in pieces), text.end()])


def test_an_answer_without_thinking_is_shown_as_it_is() -> None:
    assert shown(AnswerText(), ("", "Good "), ("", "day")) == "Good day"


def test_thinking_stands_between_its_marks() -> None:
    pieces = (("I ", ""), ("see", ""), ("", "Yes"))
    assert shown(AnswerText(), *pieces) == "Thinking...\nI see\n...done thinking.\n\nYes"


def test_thinking_that_ends_its_line_gets_no_second_line_end() -> None:
    assert shown(AnswerText(), ("see\n", ""), ("", "Yes")) == "Thinking...\nsee\n...done thinking.\n\nYes"


def test_thinking_and_answer_may_share_a_piece() -> None:
    assert shown(AnswerText(), ("see", "Yes")) == "Thinking...\nsee\n...done thinking.\n\nYes"


def test_thinking_that_was_cut_off_is_closed() -> None:
    assert shown(AnswerText(is_dimmed=True), ("se", "")) == "\x1b[2mThinking...\nse\n...done thinking.\n\n\x1b[0m"


def test_hidden_thinking_leaves_no_trace() -> None:
    assert shown(AnswerText(hide_thinking=True), ("see", ""), ("", "Yes")) == "Yes"


def test_lines_are_wrapped_in_thinking_and_answer() -> None:
    text = shown(AnswerText(columns=15), ("four four four", ""), ("", "five five five"))
    assert text == "Thinking...\nfour four \nfour\n...done thinking.\n\nfive five \nfive"


def test_a_terminal_gets_no_control_characters_from_a_model() -> None:
    assert shown(AnswerText(is_safe=True), ("", "a\x1b]0;title\x07b\tc\n\x9b31md\r")) == "a]0;titleb\tc\n31md"
    assert shown(AnswerText(), ("", "a\x1bb")) == "a\x1bb"


def test_statistics_leave_out_what_is_zero() -> None:
    metrics = MetricsRecord(total_duration=1_500_000_000, eval_count=3, eval_duration=2_000_000_000)
    assert statistics(metrics) == [
        "total duration:       1.5s",
        "eval count:           3 token(s)",
        "eval duration:        2s",
        "eval rate:            1.50 tokens/s",
    ]
    assert statistics(MetricsRecord()) == []


def test_a_call_of_an_unknown_function_is_told() -> None:
    call = ToolCallRecord(function=FunctionRecord(name="f", arguments={"a": 1, "b": "x"}))
    assert tool_call_text(call) == "Model called a non-existent function 'f()' with arguments: a=1, b='x'"
    call = ToolCallRecord(function=FunctionRecord(name="f\x1b]0;x\x07", arguments={}))
    assert tool_call_text(call) == "Model called a non-existent function 'f]0;x()' with arguments: "
