"""Apps with packages of their own."""

import zipfile
from pathlib import Path

import httpx2
import pytest
from tests.support.command import write

from towpath.app.loading import parse_reference
from towpath.app.requirements import requirements_in
from towpath.errors import AppSetupError
from towpath.testing import serve


def wheel(folder: Path, version: str) -> str:
    """Make a package by hand; return its path."""
    path = folder / f"tinything-{version}-py3-none-any.whl"
    info = f"tinything-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tinything.py", f"VERSION = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinything\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            f"{info}/RECORD",
            f"tinything.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        )
    return str(path)


def app(folder: Path, name: str, requirement: str) -> str:
    return write(
        folder,
        f"{name}.py",
        f"""
        import tinything
        import towpath
        class {name.capitalize()}(towpath.App):
            requirements = [{requirement!r}]
            @towpath.endpoint("/")
            def run(self) -> str:
                return tinything.VERSION
        """,
    )


@pytest.mark.timeout(180)
def test_two_apps_have_two_versions_of_one_package(tmp_path: Path) -> None:
    old = app(tmp_path, "old", wheel(tmp_path, "1.0"))
    new = app(tmp_path, "new", wheel(tmp_path, "2.0"))
    with serve(old, new, data_dir=tmp_path / "data", store_reserve=0) as server:
        assert httpx2.post(f"{server.url}/local/old").json() == "1.0"
        assert httpx2.post(f"{server.url}/local/new").json() == "2.0"
    environments = [p for p in (tmp_path / "data/.towpath/envs").iterdir() if p.is_dir()]
    assert len(environments) == 2


def test_a_package_that_cannot_be_installed_is_said(tmp_path: Path) -> None:
    broken = app(tmp_path, "broken", str(tmp_path / "nothing-1.0-py3-none-any.whl"))
    with pytest.raises(AppSetupError) as failure, serve(broken, data_dir=tmp_path / "data"):
        pass
    assert "nothing" in failure.value.traceback


@pytest.mark.timeout(180)
def test_an_app_without_its_packages_leaves_the_others_served(tmp_path: Path) -> None:
    """trust T44: the installer's last lines are the operator's, callers hear that it cannot start."""
    broken = app(tmp_path, "broken", str(tmp_path / "nothing-1.0-py3-none-any.whl"))
    good = write(
        tmp_path,
        "good.py",
        """
        import towpath
        class Good(towpath.App):
            @towpath.endpoint("/")
            def run(self) -> str:
                return "good"
        """,
    )
    with serve(broken, good, data_dir=tmp_path / "data", store_reserve=0) as server:
        assert httpx2.post(f"{server.url}/local/good").json() == "good"
        assert httpx2.get(f"{server.url}/ready").status_code == 200
        refused = httpx2.post(f"{server.url}/local/broken", timeout=60)
        assert refused.status_code == 503
        assert "nothing" not in refused.text
        told = httpx2.get(f"{server.url}/admin/status").json()["apps"]["local/broken"]
        assert told["state"] in {"backoff", "starting"}
        assert "nothing-1.0" in told["failure"]
        assert "cannot be installed" in told["failure"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ('class A(App):\n    requirements = ["a", "b>=1"]', ("a", "b>=1")),
        ('class A(App):\n    requirements: list[str] = ("a",)', ("a",)),
        ('class A(App, requirements=["a"]):\n    pass', ("a",)),
        ("class A(App):\n    requirements = make()", ()),
        ('class A(App):\n    other = ["a"]', ()),
        ("class A(App:", ()),
        ("requirements = ['a']", ()),
    ],
)
def test_requirements_are_read_before_the_code_is_run(tmp_path: Path, code, found) -> None:
    file = tmp_path / "app.py"
    file.write_text(code)
    assert requirements_in(parse_reference(str(file))) == found
    assert requirements_in(parse_reference(f"{file}::A")) == found
    assert requirements_in(parse_reference(f"{file}::B")) == ()
    assert requirements_in(parse_reference("some.module:A")) == ()
