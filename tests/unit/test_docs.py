"""The documentation and the code say the same: commands, options, paths, columns and members."""

from __future__ import annotations

import ast
import functools
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from documented import PAGES, code_blocks
from json_documents import COMMANDS, SCHEMA
from paths import ROOT

from docs.extensions.help_tables import reference
from docs.extensions.json_tables import json_reference
from orchestrator.cli import app
from results.storage.schema import FIXED
from tasks.contract import Task

DOCS = sorted((ROOT / "docs").rglob("*.md"))
GUIDES = {page: page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "SECURITY.md"]}

#: Options of other programs that the pages mention: ray, pip, pytest, zensical, docker, Slurm.
FOREIGN = {
    *("--build-arg", "--cpus", "--gpus", "--memory", "--user"),
    *("--no-kill", "--signal"),
    *("--clean", "--logdir"),
    "--generate",
    "--index-url",
    "--no-deps",
    "--strict",
    "--tmux",
    "--working-dir",
}


def by_page(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


# --- commands and options -------------------------------------------------------------------------


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return {name: command for name, command in group.commands.items() if not command.hidden}


def options(*, hidden: bool = False) -> Iterator[tuple[str, str]]:
    """(command, long option) of all commands."""
    for name, command in commands().items():
        for parameter in command.params:
            if parameter.param_type_name == "option" and (hidden or not parameter.hidden):
                for flag in (*parameter.opts, *parameter.secondary_opts):
                    if flag.startswith("--") and flag != "--help":
                        yield name, flag


def mentions(text: str, words: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", text) is not None


@pytest.mark.parametrize("name", list(commands()))
def test_a_guide_shows_the_command(name: str) -> None:
    assert any(mentions(text, f"orchestrator {name}") for text in GUIDES.values()), (
        f"show `python -m orchestrator {name}` in a page of docs/"
    )


@pytest.mark.parametrize(("command", "flag"), list(options()))
def test_a_guide_explains_the_option(command: str, flag: str) -> None:
    assert any(mentions(text, flag) for text in GUIDES.values()), (
        f"explain {flag} of `{command}` in a page of docs/"
    )


@by_page(list(GUIDES))
def test_options_that_a_page_mentions_exist(page: Path) -> None:
    known = {flag for _, flag in options(hidden=True)} | {"--help", "--version"} | FOREIGN
    others = r"^.*(?:benchmarks|pip|ray |mypy|pytest|docker|sbatch|sky ).*$"
    program = re.sub(others, "", GUIDES[page], flags=re.M)
    found = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", program))
    assert not found - known, f"{page} mentions {sorted(found - known)}, which no command has"


def test_the_reference_has_every_command_and_option() -> None:
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", reference(), re.M | re.S))
    assert list(sections) == list(commands())
    for command, flag in options():
        assert mentions(sections[command], flag), f"{command} {flag}"


# --- paths, links and names -----------------------------------------------------------------------


@functools.cache
def all_tests() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))


@by_page(list(GUIDES))
def test_files_and_tests_that_a_page_names_exist(page: Path) -> None:
    tests = all_tests()
    for span in re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", GUIDES[page], flags=re.M | re.S)
    ):
        for word in re.findall(
            r"(?:docs|examples|orchestrator|results|search_spaces|tasks|tests)/[\w./-]+", span
        ):
            if word.endswith((".py", ".md", ".yaml", ".json")) and "PACKAGE" not in word:
                assert (ROOT / word).is_file(), f"{page} names {word}"
        for name in re.findall(r"\btest_\w+(?!\w*\.py)\b", span):
            assert f"def {name}(" in tests or list((ROOT / "tests").rglob(f"{name}.py")), name


@by_page(list(GUIDES))
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", GUIDES[page]):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path) if path else page
        assert linked.exists() or "://" in target, f"{page} links to {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), f"{page} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the site and GitHub make them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.*)$", text, re.M)
    if page.name == "commands.md":
        headings += list(commands())
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


def test_pages_that_the_code_names_exist() -> None:
    folders = ("orchestrator", "results", "tasks", "search_spaces", "examples", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    for file in [*files, *(ROOT / "docs" / "clusters").glob("*.yaml"), ROOT / "cluster.yaml"]:
        for name in re.findall(r"docs/[\w/-]+\.(?:md|yaml)", file.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{file} names {name}"


def test_the_site_lists_every_page_once() -> None:
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]

    def pages(items: Any) -> Iterator[str]:
        for item in items:
            for value in item.values():
                yield from [value] if isinstance(value, str) else pages(value)

    assert sorted(pages(nav)) == [page.relative_to(ROOT / "docs").as_posix() for page in DOCS]


# --- Python ---------------------------------------------------------------------------------------


@by_page([page for page in DOCS if code_blocks(page, "python")])
def test_python_code_compiles_and_imports_what_exists(page: Path) -> None:
    for code in code_blocks(page, "python"):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(
                ("orchestrator", "results", "search_spaces", "tasks")
            ):
                statement = ast.Module([node], type_ignores=[])
                exec(compile(statement, str(page), "exec"), {})


def test_the_task_contract_lists_every_member() -> None:
    text = (ROOT / "docs" / "reference" / "task-contract.md").read_text()
    methods = re.findall(r"^\| `(\w+)\((.*?)\)`", text, re.M)
    attributes = {
        name
        for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.M)
        for name in re.findall(r"\w+", row)
    }
    assert attributes == set(Task.__annotations__)
    members = inspect.getmembers(Task, inspect.isfunction)
    assert dict(methods) == {
        name: ", ".join(list(inspect.signature(method).parameters)[1:])
        for name, method in members
        if not name.startswith("_")
    }


# --- the Parquet tables ---------------------------------------------------------------------------

TYPES = {
    "string": "string",
    "int64": "int64",
    "float64": "double",
    "timestamp, UTC": "timestamp[us, tz=UTC]",
}


@pytest.mark.parametrize("table", list(FIXED))
def test_the_documented_columns_are_those_of_the_schema(table: str) -> None:
    text = (ROOT / "docs" / "reference" / "results.md").read_text()
    section = re.search(rf"^### {table}\n(.*?)(?=^##)", text, re.M | re.S)
    assert section
    rows = re.findall(r"^\| ((?:`[\w.<>]+`(?:, )?)+) \| (.*?) \|", section[1], re.M)
    found = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    assert {name: TYPES[kind] for name, kind in found.items()} == {
        name: str(kind) for name, kind in FIXED[table].items()
    }
    assert list(found) == list(FIXED[table])


def test_every_file_of_a_sweep_is_documented() -> None:
    from orchestrator.pruning.facts import PARTS

    text = (ROOT / "docs" / "reference" / "results.md").read_text()
    missing = [name for name in PARTS if f"`{name}`" not in text and f"`{name}/`" not in text]
    assert not missing


# --- JSON -----------------------------------------------------------------------------------------


def test_every_field_of_the_json_documents_is_described() -> None:
    reference_text = json_reference()
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.*) \|$", reference_text, re.M)
    assert len(rows) > 100
    assert not [path for path, _, meaning in rows if not meaning]
    assert re.findall(r"^## (\S+)$", reference_text, re.M) == list(COMMANDS)
    assert set(COMMANDS) == set(commands())


def test_the_page_lists_every_exit_code_and_kind_of_error() -> None:
    text = (ROOT / "docs" / "reference" / "json.md").read_text()
    codes = {code for name in (*COMMANDS, "error") for code in _codes(name)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.M)} == codes
    errors = SCHEMA["$defs"]["error_detail"]["properties"]["type"]["enum"]
    assert set(re.findall(r"`(\w+(?:Error|Interrupted))`", text)) | {"Interrupted"} == set(errors)


def _codes(name: str) -> list[int]:
    codes: list[int] = SCHEMA["$defs"][name]["properties"]["exit_code"]["enum"]
    return codes
