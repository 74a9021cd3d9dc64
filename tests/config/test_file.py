from __future__ import annotations

import math
from pathlib import Path

import pytest

from ollamapy.config import inspect_settings, read_settings
from ollamapy.config.settings import ROWS
from ollamapy.errors import ConfigError


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "ollamapy").mkdir()
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def write(environ: dict[str, str], text: str) -> Path:
    path = Path(environ["XDG_CONFIG_HOME"]) / "ollamapy" / "config.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def test_the_file_says_what_the_environment_does_not(environ: dict[str, str]) -> None:
    write(environ, 'keep_alive = -1\nmax_queue = 7\nnoprune = true\norigins = ["http://a", "http://b"]\nhost = ":1"\n')
    settings = read_settings(environ | {"OLLAMA_MAX_QUEUE": "9"})
    assert settings.keep_alive_seconds == math.inf
    assert settings.max_queue == 9
    assert settings.no_prune
    assert settings.origins == ("http://a", "http://b")
    assert settings.host.port == 1
    assert settings.num_parallel == read_settings({}).num_parallel


def test_each_value_says_where_it_comes_from(environ: dict[str, str]) -> None:
    path = write(environ, 'keep_alive = "1h"\nmax_queue = 7\napi_keys = ["s3cret"]\n[registries."r.example"]\n')
    reading = inspect_settings(environ | {"OLLAMA_MAX_QUEUE": "9", "OLLAMAPY_REGISTRIES": "https://x"})
    found = {value.key: (value.text, value.origin) for value in reading.values}
    assert found["keep_alive"] == ("1h", str(path))
    assert found["max_queue"] == ("9", "OLLAMA_MAX_QUEUE")
    assert found["num_parallel"] == ("0", "default")
    assert found["api_keys"] == ("(set)", str(path))
    assert found["registries"] == ("(set)", f"OLLAMAPY_REGISTRIES, {path}")
    assert "s3cret" not in repr(reading)
    assert list(found) == [row.key for row in ROWS.values()]


def test_every_setting_can_stand_in_the_file_under_a_name_of_its_own(environ: dict[str, str]) -> None:
    assert len({row.key for row in ROWS.values()}) == len(ROWS)
    plain = read_settings(environ)
    defaults = {row.key: row.default() for name, row in ROWS.items() if name != "registries"}
    write(environ, "".join(f'{key} = "{text}"\n' for key, text in defaults.items()))
    assert read_settings(environ) == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keep_alive = 'soon'", r'keep_alive: "soon" is not valid; expected a duration .* \(in .*config\.toml\)'),
        ("max_queue = 1.5", r'max_queue: "1\.5" is not valid; expected a whole number'),
        ("keep_alives = 5", r"keep_alives: there is no such setting; did you mean keep_alive\?"),
        ("zzz = 5", r"zzz: there is no such setting \(in "),
        ("[keep_alive]\nx = 1", r"keep_alive: "),
        ("keep_alive = ", r".*config\.toml: the configuration file can't be read: "),
        ('api_keys = "secret"\nhf_endpoint = "secret"', "hf_endpoint"),
    ],
)
def test_a_bad_file_names_its_key(environ: dict[str, str], text: str, message: str) -> None:
    write(environ, text)
    with pytest.raises(ConfigError, match=f"^{message}"):
        read_settings(environ)


def test_all_problems_are_found_at_once(environ: dict[str, str]) -> None:
    write(environ, 'max_queue = "x"\nmodel = "y"\n')
    problems = inspect_settings(environ | {"OLLAMA_DEBUG": "-1"}).problems
    assert [problem.key for problem in problems] == ["max_queue", "OLLAMA_DEBUG", "model"]


def test_a_switch_of_presence_can_be_off_in_the_file(environ: dict[str, str]) -> None:
    write(environ, "no_color = false\n")
    assert not read_settings(environ).no_color
    write(environ, "no_color = true\n")
    assert read_settings(environ).no_color


def test_another_file_is_named_and_must_be_there(environ: dict[str, str], tmp_path: Path) -> None:
    write(environ, "max_queue = 7\n")
    (tmp_path / "other.toml").write_text("max_queue = 8\n")
    assert read_settings(environ | {"OLLAMAPY_CONFIG": str(tmp_path / "other.toml")}).max_queue == 8
    with pytest.raises(ConfigError, match=r"OLLAMAPY_CONFIG: there is no file .*gone\.toml"):
        read_settings(environ | {"OLLAMAPY_CONFIG": str(tmp_path / "gone.toml")})
    with pytest.raises(ConfigError, match=r"OLLAMAPY_CONFIG: .*the home folder behind ~ is unknown"):
        read_settings({"OLLAMAPY_CONFIG": "~no-such-user-anywhere/x"})


def test_no_file_is_needed(environ: dict[str, str]) -> None:
    assert inspect_settings(environ).problems == ()
    assert inspect_settings({"HOME": "/home/x"}).path == Path("/home/x/.config/ollamapy/config.toml")
    assert inspect_settings({}).path is None


def test_variables_without_effect_are_told() -> None:
    environ = {"OLLAMA_KEEPALIVE": "5m", "OLLAMA_NO_CLOUD": "1", "OLLAMA_HOST": ":1", "PATH": "x"}
    first, second = inspect_settings(environ).warnings
    assert first == "OLLAMA_KEEPALIVE is no variable of ollamapy; did you mean OLLAMA_KEEP_ALIVE?"
    assert second.startswith("OLLAMA_NO_CLOUD has no effect: ")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OLLAMA_BOGUS", ""),
        ("OLLAMA_SOMETHING_ELSE", ""),
        ("OLLAMA_HOSTS", "OLLAMA_HOST"),
        ("OLLAMA_NUM_PARALEL", "OLLAMA_NUM_PARALLEL"),
        ("OLLAMA_MAX_BODY", "OLLAMAPY_MAX_BODY"),
    ],
)
def test_only_what_is_close_is_offered_for_a_variable_that_is_unknown(name: str, meant: str) -> None:
    (told,) = inspect_settings({name: "1"}).warnings
    assert told == f"{name} is no variable of ollamapy" + (f"; did you mean {meant}?" if meant else "")


def test_a_file_with_secrets_that_others_can_read_is_told(environ: dict[str, str]) -> None:
    path = write(environ, 'hf_token = "x"\n')
    assert inspect_settings(environ).warnings == ()
    path.chmod(0o644)
    (warning,) = inspect_settings(environ).warnings
    assert "can be read by others" in warning
    path.write_text("max_queue = 5\n")
    assert inspect_settings(environ).warnings == ()
