"""References to apps that cannot be loaded: each has one sentence, with the near miss (trust T54)."""

from pathlib import Path

import pytest
from tests.support.command import write

from towpath.app.loading import load_apps, parse_reference
from towpath.errors import AppDefinitionError

APP = """
    import towpath
    class Upscale(towpath.App):
        @towpath.endpoint("/")
        def run(self) -> str:
            return ""
"""


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("upscal.py", ["There is no file upscal.py", "Did you mean upscale.py?"]),
        ("nothing_like_it.py", ["There is no file nothing_like_it.py. Give"]),
        ("upscale.py::Upscal", ["no App 'Upscal'", "Did you mean Upscale?", "Apps: Upscale"]),
        ("upscale.py:Upscal", ["no App 'Upscal'", "Did you mean Upscale?"]),
        ("upscal:Upscale", ["There is no module 'upscal'", "Did you mean upscale?"]),
        ("nothing.inside:X", ["There is no module 'nothing' for 'nothing.inside'"]),
        ("./upscale", ["neither a Python file nor a module", "file.py::Class"]),
        ("", ["neither a Python file nor a module"]),
        (".", ["neither a Python file nor a module"]),
        ("folder.py", ["folder.py is a folder"]),
    ],
)
def test_a_reference_that_names_nothing_says_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, words: list[str]
) -> None:
    write(tmp_path, "upscale.py", APP)
    (tmp_path / "folder.py").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AppDefinitionError) as failed:
        load_apps(parse_reference(reference))
    for word in words:
        assert word in str(failed.value)
    assert failed.value.traceback == ""


@pytest.mark.parametrize(
    ("code", "sentence", "trace"),
    [
        (
            "def f():\n    return 1 / 0\nf()",
            "cannot be imported: ZeroDivisionError: division by zero (broken.py, line 2)",
            ["broken.py", "line 3", "f()", "line 2", "1 / 0"],
        ),
        ("def (", "cannot be imported: SyntaxError: invalid syntax (broken.py, line 1)", ["def ("]),
        (
            "import nowhere_at_all",
            "No module named 'nowhere_at_all' (broken.py, line 1)",
            ["import"],
        ),
        ("import sys\nsys.exit(3)", "SystemExit: 3 (broken.py, line 2)", ["sys.exit(3)"]),
        (
            "import towpath\n\nclass A(towpath.App):\n    @towpath.endpoint('predict')\n    def a(self): pass",
            "broken.py, line 4: Endpoint path 'predict' cannot be served",
            [],
        ),
        (
            "import towpath\n\nclass A(towpath.App, machine_tpye='GPU'): pass",
            "broken.py, line 3: A has an unknown option 'machine_tpye'. Did you mean 'machine_type'?",
            [],
        ),
        (
            "import towpath\nclass A(towpath.App):\n    machine_tpye = 'GPU'",
            "Did you mean 'machine_type'?",
            [],
        ),
    ],
)
def test_code_that_fails_is_shown_by_the_authors_own_lines(
    tmp_path: Path, code: str, sentence: str, trace: list[str]
) -> None:
    file = tmp_path / "broken.py"
    file.write_text(code)
    with pytest.raises(AppDefinitionError) as failed:
        load_apps(parse_reference(str(file)))
    assert sentence in str(failed.value)
    shown = failed.value.traceback
    for word in trace:
        assert word in shown
    assert bool(trace) == bool(shown)
    for ours in ("towpath/app", "importlib", "runpy", "load_apps"):
        assert ours not in shown
