"""The texts of /api/show."""

from __future__ import annotations

from ollamapy.actions.show import parameters_text
from ollamapy.types import Options


def test_parameters_are_written_as_a_modelfile_has_them_and_only_text_is_quoted() -> None:
    options = Options(temperature=0.0, top_p=0.5, use_mmap=False, num_ctx=512, stop=("<|end|>", "7"))
    assert [line.split() for line in parameters_text(options).splitlines()] == [
        ["num_ctx", "512"], ["stop", '"<|end|>"'], ["stop", '"7"'], ["temperature", "0"], ["top_p", "0.5"],
        ["use_mmap", "false"],
    ]  # fmt: skip
