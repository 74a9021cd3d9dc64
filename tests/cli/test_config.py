from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Command


def test_a_good_file_is_right_and_shown_with_its_origin(ollamapy: Command, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('keep_alive = "1h"\n')
    path.chmod(0o600)
    assert ollamapy("config", "path", OLLAMAPY_CONFIG=str(path)).stdout == f"{path}\n"
    assert ollamapy("config", "check", OLLAMAPY_CONFIG=str(path)).stdout == f"{path} is right\n"
    lines = ollamapy("config", "show", "--origin", OLLAMAPY_CONFIG=str(path)).stdout.splitlines()
    assert lines[0].split() == ["SETTING", "VALUE", "FROM"]
    assert ["keep_alive", "1h", str(path)] in [line.split() for line in lines]
    assert ["host", ollamapy.environ["OLLAMA_HOST"], "OLLAMA_HOST"] in [line.split() for line in lines]
    assert "FROM" not in ollamapy("config", "show", OLLAMAPY_CONFIG=str(path)).stdout


def test_a_bad_file_is_told_in_full_and_fails(ollamapy: Command, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('keep_alives = "1h"\nmax_queue = "many"\n')
    done = ollamapy("config", "check", OLLAMAPY_CONFIG=str(path), OLLAMA_KEEPALIVE="1")
    assert done.returncode == 2
    assert "Warning: OLLAMA_KEEPALIVE is no variable of ollamapy; did you mean OLLAMA_KEEP_ALIVE?" in done.stderr
    assert 'Error: max_queue: "many" is not valid' in done.stderr
    assert "Error: keep_alives: there is no such setting; did you mean keep_alive?" in done.stderr


def test_secrets_are_hidden(ollamapy: Command) -> None:
    done = ollamapy("config", "show", OLLAMAPY_API_KEYS="s3cret", HF_TOKEN="t0ken")
    assert done.returncode == 0
    assert "s3cret" not in done.stdout
    assert "t0ken" not in done.stdout
    assert ["api_keys", "(set)"] in [line.split() for line in done.stdout.splitlines()]


def test_the_daemon_warns_of_variables_without_effect(ollamapy: Command) -> None:
    done = ollamapy("serve", OLLAMA_HOST="0.0.0.0:0", OLLAMA_KEEPALIVE="1")
    assert done.returncode == 2
    assert done.stderr.startswith("Warning: OLLAMA_KEEPALIVE is no variable of ollamapy; did you mean")
    assert "OLLAMAPY_API_KEYS" in done.stderr
