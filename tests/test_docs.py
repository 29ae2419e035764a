"""The documentation says what is so: help, links, the man page."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import typer

from symprobe.cli.app import COMMANDS, app
from tests.conftest import unavailable

ROOT = Path(__file__).parents[1]


def docs(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "docs.py", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_help_shown_is_the_real_one() -> None:
    done = docs("check")
    assert (done.returncode, done.stdout) == (0, "")


def test_stale_help_is_found(tmp_path: Path) -> None:
    """The check is one that can fail: a copy of the project with one word of help changed."""
    for name in ("symprobe", "scripts", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "README.md", tmp_path)
    page = tmp_path / "docs" / "find.md"
    right = page.read_text()
    page.write_text(right.replace("--no-refresh  ", "--no-reload   "))
    command = [sys.executable, tmp_path / "scripts" / "docs.py"]
    done = subprocess.run([*command, "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "docs/find.md" in done.stdout
    subprocess.run([*command, "write"], check=True)
    assert page.read_text() == right


def test_each_command_has_a_page_with_its_help_and_real_output() -> None:
    for name in COMMANDS:
        text = (ROOT / "docs" / f"{name}.md").read_text()
        assert f"<!-- help: {name} -->" in text
        assert f"$ symprobe {name} " in text or f"$ symprobe {name}\n" in text


def test_the_commands_shown_have_the_options_shown() -> None:
    """All `$ symprobe COMMAND …` of the pages, and those in running text."""
    group = typer.main.get_command(app)
    wrong, seen = [], 0
    with group.make_context("symprobe", [], resilient_parsing=True) as root:
        for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
            text = page.read_text().replace("\\\n", " ")
            for line in re.findall(r"(?:^\$ |[`-] )symprobe (\w+ .+?)(?:`|$)", text, re.MULTILINE):
                name, *words = line.split(" -- ")[0].split(" #")[0].split()
                assert name in COMMANDS, line
                command = group.get_command(root, name)  # type: ignore[attr-defined]
                known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
                options = {word.split("=")[0] for word in words if re.match(r"--?[a-zA-Z]", word)}
                wrong += [f"{page.name}: {line}: {o}" for o in options - known - {"-h", "--help"}]
                seen += 1
    assert seen > 50
    assert not wrong


def test_each_page_and_picture_can_be_reached() -> None:
    reached: set[Path] = set()
    coming = [ROOT / "README.md"]
    while coming:
        page = coming.pop()
        if page in reached or not page.exists():
            continue
        reached.add(page)
        if page.suffix == ".md":
            links = re.findall(r"\]\(([^)\s#]+)", page.read_text())
            coming += [(page.parent / link).resolve() for link in links if "://" not in link]
    pages = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".svg")}
    assert not pages - reached


def test_each_part_of_the_house_is_in_the_table_and_in_the_picture() -> None:
    package = ROOT / "symprobe"
    parts = {path.name for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    parts -= {"__init__.py", "__main__.py", "__pycache__"}
    table = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`(\w+(?:\.py|/))`", table.split("## The house")[1].split("\n## ")[0]))
    folders = {f"{part}/" if (package / part).is_dir() else part for part in parts}
    assert named == folders
    picture = (ROOT / "docs" / "architecture.svg").read_text()
    words = set(re.findall(r"\w+", " ".join(re.findall(r'class="name"[^>]*>([^<]+)<', picture))))
    assert words == {part.removesuffix(".py") for part in parts} - {"testing"}


def test_links_between_pages_lead_somewhere() -> None:
    wrong = []
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            if "://" in path:
                continue
            target = (page.parent / path).resolve() if path else page
            if not target.exists() or (anchor and anchor not in _anchors(target)):
                wrong.append(f"{page.name}: {link}")
    assert not wrong


def _anchors(page: Path) -> set[str]:
    """Anchors of headings as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_man_page(tmp_path: Path) -> None:
    page = tmp_path / "symprobe.1"
    assert docs("man", page).returncode == 0
    if shutil.which("groff") is None:
        unavailable("groff is not installed")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=100n", page],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout)
    for word in ("EXIT STATUS", "symprobe check", "--max-version VERSION", "--no-refresh"):
        assert word in text
