"""What other programs import from ollamapy, and the examples that show them how."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import ollamapy
from tests.conftest import CHECKOUT
from tests.server.conftest import running

ADDRESS = "http://127.0.0.1:11434"
EXAMPLES = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "python.md").read_text(), re.DOTALL)
PRINTED = ("Wren", "color", "['", "not found")


def test_every_name_is_there_and_known_to_dir():
    assert all(getattr(ollamapy, name).__name__ == name for name in ollamapy.__all__ if name != "__version__")
    assert set(ollamapy.__all__) == {name for names in ollamapy._HOMES.values() for name in names}
    with pytest.raises(AttributeError, match="nothing"):
        _ = ollamapy.nothing


def test_type_checkers_of_other_programs_look_at_the_annotations():
    assert (CHECKOUT / "ollamapy" / "py.typed").is_file()  # PEP 561


def test_nothing_is_loaded_before_it_is_used():
    code = "import sys, ollamapy; print([name for name in sys.modules if name.startswith('ollamapy.')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon over real workers."""
    with running(tmp_path_factory.mktemp("public")) as daemon:
        yield daemon


@pytest.mark.model
@pytest.mark.parametrize(("example", "printed"), list(zip(EXAMPLES, PRINTED, strict=True)), ids=range(len(EXAMPLES)))
def test_an_example_of_the_documentation_runs(daemon, example, printed):
    code = example.replace(ADDRESS, daemon.url)
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=CHECKOUT)
    assert done.returncode == 0, done.stderr
    assert printed in done.stdout


@pytest.mark.model
def test_a_client_reads_tokens_and_prompts(daemon):
    ask = ollamapy.ChatRequest("wren", (ollamapy.Message("user", "hello"),))
    with ollamapy.Client(daemon.url) as client:
        tokens = client.tokenize("wren", "hello there").tokens
        assert client.detokenize("wren", tokens).content == "hello there"
        assert "hello" in client.render(ask).prompt
        assert "hello" in client.render(ollamapy.GenerateRequest("wren", "hello")).prompt
