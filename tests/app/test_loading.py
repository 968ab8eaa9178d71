"""References to apps that cannot be loaded: each has one sentence, with the near miss (trust T54)."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

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


@pytest.fixture
def unchanged_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports and where from is forgotten after it."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("this", "sybil"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


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
            "import towpath\nclass A(towpath.App):\n  @towpath.endpoint\n  def go(self): pass",
            "broken.py, line 3: @towpath.endpoint needs a path: write @towpath.endpoint('/') above def go.",
            [],
        ),
        (
            "import towpath\nclass A(towpath.App):\n  @towpath.endpoint('/')\n  def go(): pass",
            "broken.py, line 3: A.go lacks self: write def go(self…).",
            [],
        ),
        (
            "import towpath\nclass A(towpath.App):\n  @towpath.endpoint('/')\n  def go(text: str): pass",
            "broken.py, line 3: A.go lacks self: write def go(self, text…).",
            [],
        ),
        (
            "import towpath\nclass A(towpath.App):\n  @towpath.endpoint('/')\n  def a(self): pass\n  @towpath.endpoint('/')\n  def b(self): pass",
            "broken.py, line 5: a and b are both served at '/'. Give each endpoint a path of its own.",
            [],
        ),
        (
            "import towpath\n\nclass A(towpath.App):\n  def a(self): pass",
            "broken.py, line 3: A is no towpath.App with an endpoint: it has no method marked by",
            [],
        ),
        ("x = 1", "defines no towpath.App with an endpoint. Write class Name(towpath.App)", []),
        (
            "import torchx_nope",
            "No module named 'torchx_nope' (broken.py, line 1). Name its package in the app's requirements",
            ["import torchx_nope"],
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


@pytest.mark.parametrize(
    ("neighbour", "code", "app", "said"),
    [
        ("this.py", "1/0", "import this", "this.py in {} hides Python's own module this: rename"),
        ("this.py", "", "from this import s", "this.py in {} hides Python's own module this"),
        ("this.py", "", "import this\nthis.s", "this.py in {} hides Python's own module this"),
        ("this.py", "def (", "import this", "this.py in {} hides Python's own module this"),
        ("sybil.py", "1/0", "import sybil", "sybil.py in {} hides the installed module sybil"),
    ],
)
def test_a_file_that_hides_a_module_of_others_is_named(
    tmp_path: Path, unchanged_modules: None, neighbour: str, code: str, app: str, said: str
) -> None:
    """A newcomer's trust T54."""
    (tmp_path / neighbour).write_text(code)
    (tmp_path / "lone_app.py").write_text(app)
    with pytest.raises(AppDefinitionError) as failed:
        load_apps(parse_reference(str(tmp_path / "lone_app.py")))
    assert said.format(tmp_path) in str(failed.value)


def test_an_app_imports_its_neighbours_and_replaces_no_module_of_pythons(
    tmp_path: Path, unchanged_modules: None
) -> None:
    (tmp_path / "lone_helper.py").write_text("VALUE = 3")
    path = tmp_path / "this.py"
    path.write_text(f"import lone_helper\nlone_helper.VALUE\n{dedent(APP)}")
    [app] = load_apps(parse_reference(str(path)))
    assert app.__name__ == "Upscale"
    assert "this" not in sys.modules


def test_what_the_app_itself_raises_is_no_matter_of_a_hidden_module(
    tmp_path: Path, unchanged_modules: None
) -> None:
    path = tmp_path / "this.py"
    path.write_text("1/0")
    with pytest.raises(AppDefinitionError) as failed:
        load_apps(parse_reference(str(path)))
    assert "hides" not in str(failed.value)


def test_methods_without_self_that_need_none_are_served(tmp_path: Path) -> None:
    code = """
        import towpath
        class Kinds(towpath.App):
            @staticmethod
            @towpath.endpoint("/static")
            def fixed(text: str) -> str:
                return text

            @towpath.endpoint("/this")
            def other(this) -> str:
                return ""
    """
    [app] = load_apps(parse_reference(write(tmp_path, "kinds.py", code)))
    assert app.name == "kinds"
