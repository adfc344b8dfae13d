import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from fixer.discovery import Discovery, compile_patterns, discover, find_root
from fixer.source import SourceError


def tree(folder: Path, *files: str) -> None:
    """Create files; a name with a slash at its end is a folder."""
    for name in files:
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x = 1\n")


def ignore(folder: Path, *lines: str, name: str = ".gitignore") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")


def names(paths: tuple[Path, ...], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def targets(folder: Path, *named: str, **options: object) -> list[str]:
    """The targets below `folder` when `named` are given, and no errors."""
    found = discover([folder / name for name in named or ["."]], root=folder, **options)  # type: ignore[arg-type]
    assert found.errors == ()
    return names(found.targets, folder)


class TestTargets:
    def test_only_python_files(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.py", "b.pyi", "c.ipynb", "d.txt", "py", "e.py.bak", "f.PY", "g/h.py", "i.py/")
        assert targets(tmp_path) == ["a.py", "g/h.py"]

    def test_sorted_and_each_once(self, tmp_path: Path) -> None:
        tree(tmp_path, "b.py", "a/c.py", "a/b.py")
        assert targets(tmp_path, "b.py", ".", "a", "a/c.py", "a/../b.py") == ["a/b.py", "a/c.py", "b.py"]

    def test_relative_paths_become_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tree(tmp_path, "a/b.py")
        monkeypatch.chdir(tmp_path)
        assert discover([Path("a")]).targets == discover([Path("a/b.py")]).targets == (tmp_path / "a/b.py",)

    def test_nothing(self, tmp_path: Path) -> None:
        assert discover([tmp_path]) == Discovery((), (), ())
        assert discover([]) == Discovery((), (), ())

    def test_hidden_and_odd_names(self, tmp_path: Path) -> None:
        tree(tmp_path, ".hidden.py", "with space.py", "ü😀.py", "new\nline.py")
        assert len(targets(tmp_path)) == 4

    def test_leftover_of_a_killed_run(self, tmp_path: Path) -> None:
        tree(tmp_path, ".a.py.fixer-0x7.tmp")
        assert targets(tmp_path) == []

    def test_pipe_below_a_folder(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.py")
        assert targets(tmp_path) == []

    @pytest.mark.parametrize(
        "folder",
        [".git", ".venv", "venv", "node_modules", "__pycache__", "build", "dist", ".tox", "site-packages"],
    )
    def test_folders_of_no_interest(self, tmp_path: Path, folder: str) -> None:
        tree(tmp_path, f"{folder}/a.py", f"a/{folder}/b/c.py", f"x{folder}/a.py", f"d/{folder.strip('.')}.py")
        assert targets(tmp_path) == [f"d/{folder.strip('.')}.py", f"x{folder}/a.py"]

    def test_virtual_environment_of_another_name(self, tmp_path: Path) -> None:
        tree(tmp_path, "env/lib/a.py", "env/b.py", "env/pyvenv.cfg", "environments/env/a.py")
        assert targets(tmp_path) == ["environments/env/a.py"]

    @pytest.mark.parametrize("folder", ["build", ".venv/lib/site-packages/pkg", "env"])
    def test_named_folder_is_searched_all_the_same(self, tmp_path: Path, folder: str) -> None:
        tree(tmp_path, f"{folder}/a.py", "env/pyvenv.cfg", ".git/")
        ignore(tmp_path, "build", ".venv", "/env")
        assert targets(tmp_path, folder) == [f"{folder}/a.py"]

    def test_named_file_is_taken_all_the_same(self, tmp_path: Path) -> None:
        tree(tmp_path, "build/a.py", ".git/")
        ignore(tmp_path, "*.py")
        assert targets(tmp_path, "build/a.py", exclude=["a.py"]) == ["build/a.py"]


class TestLinks:
    def test_circle_of_folders(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/b.py")
        (tmp_path / "a" / "again").symlink_to(tmp_path)
        (tmp_path / "a" / "self").symlink_to("self")
        assert targets(tmp_path) == ["a/b.py"]

    def test_links_below_a_folder_are_found_where_they_lie(self, tmp_path: Path) -> None:
        tree(tmp_path, "real.py")
        (tmp_path / "link.py").symlink_to("real.py")
        (tmp_path / "broken.py").symlink_to("gone.py")
        assert targets(tmp_path) == ["real.py"]

    def test_named_links_keep_their_name(self, tmp_path: Path) -> None:
        tree(tmp_path, "real/a.py")
        (tmp_path / "folder").symlink_to("real")
        (tmp_path / "link.py").symlink_to("real/a.py")
        assert targets(tmp_path, "folder") == ["folder/a.py"]
        assert targets(tmp_path, "link.py") == ["link.py"]

    def test_one_file_under_several_names_comes_once(self, tmp_path: Path) -> None:
        tree(tmp_path, "real/a.py")
        (tmp_path / "folder").symlink_to("real")
        (tmp_path / "link.py").symlink_to("real/a.py")
        assert targets(tmp_path, "link.py", "folder", "real") == ["link.py"]


class TestPatterns:
    FILES = ("a.py", "b/a.py", "b/c.py", "build/d.py", "e/build/f.py")

    @pytest.mark.parametrize(
        ("exclude", "expected"),
        [
            ([], ["a.py", "b/a.py", "b/c.py"]),
            (["a.py"], ["b/c.py"]),
            (["/a.py"], ["b/a.py", "b/c.py"]),
            (["b"], ["a.py"]),
            (["b/*", "!b/c.py"], ["a.py", "b/c.py"]),
            (["!build"], ["a.py", "b/a.py", "b/c.py", "build/d.py", "e/build/f.py"]),
            (["!/build"], ["a.py", "b/a.py", "b/c.py", "build/d.py"]),
            (["**/c.py", "# a.py"], ["a.py", "b/a.py"]),
        ],
    )
    def test_exclude(self, tmp_path: Path, exclude: list[str], expected: list[str]) -> None:
        tree(tmp_path, *self.FILES)
        assert targets(tmp_path, exclude=exclude) == expected

    def test_patterns_are_relative_to_the_root(self, tmp_path: Path) -> None:
        tree(tmp_path, *self.FILES)
        assert targets(tmp_path, "b", exclude=["/a.py"]) == ["b/a.py", "b/c.py"]
        assert targets(tmp_path, "b", exclude=["/b/a.py"]) == ["b/c.py"]

    def test_patterns_say_nothing_of_files_outside_the_root(self, tmp_path: Path) -> None:
        tree(tmp_path, "a/x.py", "ab/x.py")
        found = discover([tmp_path], root=tmp_path / "a", exclude=["x.py"])
        assert names(found.targets, tmp_path) == ["ab/x.py"]

    def test_include(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.py", "bin/tool", "bin/other.sh", "src/b.py")
        assert targets(tmp_path, include=["/bin/tool", "/src/**/*.py"]) == ["bin/tool", "src/b.py"]
        assert targets(tmp_path, "bin/tool", include=["/bin/tool"]) == ["bin/tool"]
        assert targets(tmp_path, "a.py", include=["/bin/tool"]) == ["a.py"]

    @pytest.mark.parametrize("pattern", ["!", "\\", "a[z-a]"])
    def test_what_is_no_pattern(self, pattern: str) -> None:
        with pytest.raises(ValueError, match=r"not a pattern as in a \.gitignore"):
            compile_patterns(["*.py", pattern])


class TestGitignore:
    def test_nested_rules(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git/", "a.py", "gen/b.py", "gen/keep.py", "gen/sub/keep.py", "sub/a.py", "sub/c.py")
        ignore(tmp_path, "/a.py", "gen/*", "!gen/sub")
        ignore(tmp_path / "gen", "!keep.py")
        ignore(tmp_path / "sub", "/c.py")
        assert targets(tmp_path) == ["gen/keep.py", "gen/sub/keep.py", "sub/a.py"]

    def test_rules_above_a_named_folder(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git/", "a/b/c.py", "a/b/d.py", "a/b/e.py")
        ignore(tmp_path, "c.py")
        ignore(tmp_path / "a", "/b/d.py")
        assert targets(tmp_path, "a/b") == ["a/b/e.py"]

    def test_rules_above_the_repository_say_nothing(self, tmp_path: Path) -> None:
        tree(tmp_path, "repo/.git/", "repo/sub/a.py", "repo/b.py")
        ignore(tmp_path, "*.py")
        assert targets(tmp_path, "repo") == ["repo/b.py", "repo/sub/a.py"]
        assert targets(tmp_path, "repo/sub") == ["repo/sub/a.py"]

    def test_exclude_file_of_the_repository(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git/info/", "a.py", "b/a.py", "b/c.py")
        ignore(tmp_path / ".git" / "info", "/a.py", "c.py", name="exclude")
        assert targets(tmp_path) == ["b/a.py"]
        assert targets(tmp_path, "b") == ["b/a.py"]

    def test_work_tree_whose_repository_is_a_file(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git", "a.py", "b/c.py")
        ignore(tmp_path, "c.py")
        assert targets(tmp_path) == ["a.py"]
        assert targets(tmp_path, "b") == []

    def test_pattern_of_the_user_is_stronger(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.py", "b.py")
        ignore(tmp_path, "a.py", "!b.py")
        assert targets(tmp_path, exclude=["!a.py", "b.py"]) == ["a.py"]

    def test_not_respected(self, tmp_path: Path) -> None:
        tree(tmp_path, ".git/", "a/b.py")
        ignore(tmp_path, "b.py")
        assert targets(tmp_path, respect_gitignore=False) == ["a/b.py"]
        assert targets(tmp_path, "a", respect_gitignore=False) == ["a/b.py"]

    def test_lines_that_are_no_patterns_are_passed_over(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.py", "b.py")
        (tmp_path / ".gitignore").write_bytes(b"\xef\xbb\xbf!\r\n\xff\xfe[\r\n\\\r\na.py\r\n")
        assert targets(tmp_path) == ["b.py"]

    @pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
    def test_the_same_as_git(self, tmp_path: Path) -> None:
        files = [f"{a}/{b}/{c}.py" for a in "xyz" for b in ("x", "new x", "d") for c in ("a", "b", "x")]
        tree(tmp_path, *files, *(f"{a}.py" for a in "abx"))
        ignore(tmp_path, "/x/*", "!/x/d", "b.py", "y/**/a.py", "z/d/", "*x.py", "!new*/x.py", "", "#a.py")
        ignore(tmp_path / "x", "!b.py", "d/a.py")
        ignore(tmp_path / "y" / "d", "*", "!x.py", "!b.py  ")
        git = ["git", "-c", "core.excludesFile=/dev/null", "-C", str(tmp_path)]
        subprocess.run([*git, "init", "-q"], check=True)
        listing = subprocess.run(
            [*git, "ls-files", "-z", "--others", "--exclude-standard", "*.py"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        expected = sorted(listing.split("\0")[:-1])
        assert 5 < len(expected) < len(files) - 5
        assert targets(tmp_path) == expected


class TestErrors:
    def test_what_is_wrong_with_one_path_does_not_stop_the_others(self, tmp_path: Path) -> None:
        tree(tmp_path, "a.py", "notes.txt", "stub.pyi")
        found = discover([tmp_path / name for name in ("gone", "notes.txt", "a.py", "stub.pyi", "gone.py")])
        assert names(found.targets, tmp_path) == ["a.py"]
        assert [str(error) for error in found.errors] == [
            f"{tmp_path}/gone: there is no such file; check the path",
            f"{tmp_path}/notes.txt: not a Python file; name `.py` files or folders",
            f"{tmp_path}/stub.pyi: not a Python file; name `.py` files or folders",
            f"{tmp_path}/gone.py: there is no such file; check the path",
        ]

    def test_name_with_a_null_byte(self) -> None:
        (error,) = discover([Path("a\0.py")]).errors
        assert "not a file name" in str(error)

    @pytest.mark.parametrize("kind", ["folder", "rules"])
    def test_what_may_not_be_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        def deny_folder(path: str) -> object:
            if path.endswith("secret"):
                raise PermissionError(13, "Permission denied")
            return scandir(path)

        def deny_rules(*_: object) -> str:
            raise PermissionError(13, "Permission denied")

        scandir = os.scandir
        tree(tmp_path, "a.py", "secret/b.py", "z/c.py", ".gitignore")
        if kind == "folder":
            monkeypatch.setattr(os, "scandir", deny_folder)
        else:
            monkeypatch.setattr(Path, "read_text", deny_rules)
        found = discover([tmp_path])
        (error,) = found.errors
        assert isinstance(error, SourceError)
        assert "permission denied; change its permissions or exclude it" in str(error)
        assert error.path == tmp_path / {"folder": "secret", "rules": ".gitignore"}[kind]
        expected = ["a.py", "z/c.py"] if kind == "folder" else ["a.py", "secret/b.py", "z/c.py"]
        assert names(found.targets, tmp_path) == expected


class TestRoot:
    @pytest.mark.parametrize("marker", ["pyproject.toml", "setup.py", "setup.cfg", ".git/"])
    def test_nearest_folder_with_a_marker(self, tmp_path: Path, marker: str) -> None:
        tree(tmp_path, f"p/{marker}", f"p/q/{marker}", "p/q/r/s/a.py", "p/b.py")
        assert find_root(tmp_path / "p/q/r/s/a.py") == tmp_path / "p/q"
        assert find_root(tmp_path / "p/b.py") == tmp_path / "p"

    def test_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        tree(tmp_path, "setup.py", "a/b.py")
        monkeypatch.chdir(tmp_path / "a")
        assert find_root(Path("b.py")) == tmp_path

    def test_top_of_the_package(self, tmp_path: Path) -> None:
        tree(tmp_path, "p/q/__init__.py", "p/q/r/__init__.py", "p/q/r/a.py", "p/b.py")
        assert find_root(tmp_path / "p/q/r/a.py") == tmp_path / "p/q"
        assert find_root(tmp_path / "p/b.py") == tmp_path / "p"

    def test_package_ends_where_an_init_file_is_missing(self, tmp_path: Path) -> None:
        tree(tmp_path, "p/__init__.py", "p/q/a.py")
        assert find_root(tmp_path / "p/q/a.py") == tmp_path / "p/q"

    def test_installed_package(self, tmp_path: Path) -> None:
        tree(tmp_path, "setup.py", "env/site-packages/p/__init__.py", "env/site-packages/p/q/__init__.py")
        assert find_root(tmp_path / "env/site-packages/p/q/a.py") == tmp_path / "env/site-packages/p"

    @pytest.mark.parametrize("kind", ["home", "temporary"])
    def test_places_that_are_no_projects(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        place = tmp_path / "place"
        tree(
            tmp_path, "setup.py", "place/setup.py", "place/a.py", "place/b.py", "place/p/c.py", "place/p/d.py"
        )
        if kind == "home":
            monkeypatch.setenv("HOME", str(place))
        else:
            monkeypatch.setattr(tempfile, "tempdir", str(place))
        assert find_root(place / "p/c.py") == place / "p"
        assert find_root(place / "a.py") == place
        assert discover([place / "a.py"]).context == ()
        assert discover([place / "p/c.py"]).context == (place / "p/d.py",)


class TestContext:
    def test_rest_of_the_project(self, tmp_path: Path) -> None:
        tree(
            tmp_path, "p/setup.py", "p/net.py", "p/train.py", "p/build/x.py", "p/old/y.py", "q/z.py", "p/i.py"
        )
        ignore(tmp_path / "p", "i.py")
        found = discover([tmp_path / "p/net.py"], root=tmp_path, exclude=["old"])
        assert names(found.targets, tmp_path) == ["p/net.py"]
        assert names(found.context, tmp_path) == ["p/setup.py", "p/train.py"]

    def test_projects_of_several_targets(self, tmp_path: Path) -> None:
        tree(tmp_path, "p/setup.py", "p/a.py", "q/setup.py", "q/a.py", "p/sub/setup.py", "p/sub/b.py")
        found = discover([tmp_path / "p/a.py", tmp_path / "p/sub", tmp_path / "q/a.py"])
        assert names(found.targets, tmp_path) == ["p/a.py", "p/sub/b.py", "p/sub/setup.py", "q/a.py"]
        assert names(found.context, tmp_path) == ["p/setup.py", "q/setup.py"]

    def test_targets_are_no_context(self, tmp_path: Path) -> None:
        tree(tmp_path, "setup.py", "a/b.py")
        (tmp_path / "link.py").symlink_to("a/b.py")
        found = discover([tmp_path / "link.py"])
        assert names(found.targets, tmp_path) == ["link.py"]
        assert names(found.context, tmp_path) == ["setup.py"]

    def test_what_goes_wrong_there_is_no_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def deny(*_: object) -> object:
            raise PermissionError(13, "Permission denied")

        tree(tmp_path, "setup.py", "a.py")
        monkeypatch.setattr(os, "scandir", deny)
        assert discover([tmp_path / "a.py"]) == Discovery((tmp_path / "a.py",), (), ())

    @pytest.mark.parametrize("limit", ["MAX_CONTEXT_FILES", "MAX_CONTEXT_FOLDERS"])
    def test_is_limited_and_near_files_come_first(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
    ) -> None:
        tree(tmp_path, "setup.py", "a/b/c/deep.py", "a/near.py", "z/near.py")
        monkeypatch.setattr(f"fixer.discovery.{limit}", 3)
        found = discover([tmp_path / "setup.py"])
        assert names(found.context, tmp_path) == ["a/near.py", "z/near.py"]
