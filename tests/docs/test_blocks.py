"""Every code block in the README and in docs/ is run, or is the text of a file that is.

- `python`: the blocks of one page make one program, in their order. It runs in a process of its
  own and must end by itself. If it defines tests, pytest runs it.
- `pycon`: the blocks of one page make one doctest.
- `console`: each command has a line in COMMANDS that names the test that runs it.
- `<!-- file: examples/chat.py -->` before a `python` block: the block is that file, and EXAMPLES
  names the test that runs it.

There is no way to show code that is not run, so other languages are few, and listed.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from support.tree import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *DOCS.rglob("*.md")]
    if "_build" not in path.relative_to(ROOT).parts
)

# What a page may run before it is stopped, in seconds.
TIMEOUT = 30

# Each command of a console block, as it is written without its prompt, and the test that runs it.
COMMANDS: dict[str, str] = {
    "python3 tests/run.py": "tests/packaging/test_run.py::test_installs_again_only_when_needed",
    "python3 -m venv .venv && .venv/bin/pip install '.[server]' && .venv/bin/hubbub serve": (
        "tests/packaging/test_readme.py::test_the_first_command_serves_the_hub_and_its_page"
    ),
    **dict.fromkeys(
        (
            "hubbub serve",
            "hubbub serve notify",
            "hubbub serve --config hubbub.toml --log-format json",
            "hubbub serve --host 0.0.0.0 --anonymous --origin https://example.org",
            "hubbub serve --unix hub.sock --trusted-proxy unix --transport trio",
            "hubbub serve echo",
            "hubbub serve chat --host 0.0.0.0 --port 8765",
            "hubbub serve --host 0.0.0.0 --anonymous --tls-cert fullchain.pem --tls-key key.pem",
        ),
        "tests/docs/test_commands.py::test_a_command_that_serves",
    ),
    **dict.fromkeys(
        (
            "hubbub serve chat --transport trio",
            "hubbub serve chat --unix chat.sock --trusted-proxy unix",
        ),
        "tests/apps/test_cli.py::test_a_command_of_the_docs",
    ),
    "hubbub connect localhost:8765 --room room.lobby --name ann": (
        "tests/apps/test_connect_room.py::test_the_command_of_the_docs"
    ),
    "hubbub connect localhost:8765": "tests/apps/test_prompt.py::test_the_command_of_the_docs",
    **dict.fromkeys(
        (
            r"printf 'one\ntwo\n' | hubbub connect localhost:8765 > answers.txt",
            "hubbub connect localhost:8765 --wait inf < /dev/null > feed.txt",
            r"printf '00 ff 7a\n' | hubbub connect localhost:8765 --binary",
            "hubbub connect wss://localhost:8765/feed --ca ca.pem --header 'X-Token: TOKEN'",
        ),
        "tests/apps/test_connect.py::test_a_command_of_the_docs",
    ),
    **dict.fromkeys(
        (
            "hubbub config check",
            "HUBBUB_SERVER_PORT=9000 HUBBUB_SERVER_ORIGINS=any hubbub config show",
            "hubbub config show alerts.fire",
            "hubbub token create alice --read 'alerts.>' --write room.lobby --days 30",
            "hubbub token hash < api.key",
        ),
        "tests/docs/test_configure.py::test_a_command_of_the_page",
    ),
    "hubbub store check hub.db": "tests/apps/test_store.py::test_a_command_of_the_docs",
    **dict.fromkeys(
        ("head -c 32 /dev/urandom | base64 > api.key", "hubbub serve --api-key-file api.key"),
        "tests/docs/test_http_api.py::test_the_key_of_the_page",
    ),
    **dict.fromkeys(
        (
            'curl -H "Authorization: Bearer $KEY" --json \'{"topic": "alerts.fire", "message": {"floor": 3}}\' localhost:8765/api/publish',
            'curl -H "Authorization: Bearer $KEY" --json \'{"topic": "kept.news", "message": "hello", "idempotency_key": "n1"}\' localhost:8765/api/publish',
            'curl -H "Authorization: Bearer $KEY" --json \'{"user": "ann", "reason": "see your mail"}\' localhost:8765/api/disconnect',
            'curl -H "Authorization: Bearer $KEY" --json \'{"user": "bob", "pattern": "alerts.>"}\' localhost:8765/api/revoke',
            "curl -H \"Authorization: Bearer $KEY\" 'localhost:8765/api/topics?prefix=alerts.&limit=10'",
            "curl -H \"Authorization: Bearer $KEY\" 'localhost:8765/api/connections?limit=1'",
            'curl -H "Authorization: Bearer $KEY" --json \'{"topic": "two words", "message": 1}\' localhost:8765/api/publish',
            "curl localhost:8765/api/topics",
        ),
        "tests/docs/test_http_api.py::test_an_example",
    ),
    "hubbub simulate --seeds 1..20 --processes 2": (
        "tests/apps/test_simulate_command.py::test_some_seeds_on_two_processes"
    ),
    "hubbub simulate --crashes --seeds 1..20 --processes 2": (
        "tests/apps/test_simulate_command.py::test_crashes_on_two_processes"
    ),
    "hubbub simulate --seed 7 --trace 7.trace": (
        "tests/apps/test_simulate_command.py::test_a_trace"
    ),
    **dict.fromkeys(
        (
            "hubbub publish localhost:8765 orders '{\"order\": 17}'",
            "hubbub publish localhost:8765 room.lobby 'hello, all'",
            "hubbub publish localhost:8765 orders < orders.jsonl > answers.jsonl",
            "hubbub publish localhost:8765 log --text < server.log",
            "hubbub listen localhost:8765 orders 'room.*'",
            "hubbub listen localhost:8765 orders --last 10 --count 10",
            "hubbub listen localhost:8765 orders --since f3a19c0d7e52:1",
            "hubbub listen localhost:8765 orders --ack --consumer printer --token-file token.txt",
        ),
        "tests/apps/test_listen_publish.py::test_a_command_of_the_docs",
    ),
    "hubbub serve --help": "tests/docs/test_commands.py::test_the_command_that_helps",
    "python tests/conformance/run.py": (
        "tests/conformance/test_command.py::test_an_echo_server_passes"
    ),
    **dict.fromkeys(
        (
            "python tests/conformance/run.py --share --at-once 4",
            "python tests/conformance/run.py --side client --transport trio --fast-path on",
        ),
        "tests/conformance/test_share.py::test_the_share_passes",
    ),
    "python docs/examples/tutorial/asyncio/echo_server.py 8765": (
        "tests/docs/test_tutorial.py::test_echo_server"
    ),
    "python docs/examples/tutorial/asyncio/client.py 8765": (
        "tests/docs/test_tutorial.py::test_client"
    ),
    "uvicorn --app-dir docs/examples fastapi_lifespan:app": (
        "tests/docs/test_fastapi.py::test_fastapi_lifespan"
    ),
    "uvicorn --app-dir docs/examples fastapi_hub:app": (
        "tests/docs/test_fastapi.py::test_fastapi_hub"
    ),
    "pytest test_muting_hub.py --hypothesis-seed=1": (
        "tests/docs/test_muting.py::test_the_mistake_is_found"
    ),
    "python tests/benchmarks/run.py": "tests/benchmarks/test_form.py::test_the_command",
    "python tests/fuzz/run.py --inputs 1000000": (
        "tests/fuzz/test_fuzz.py::test_the_command_prints_a_table"
    ),
}

# Each file under docs/examples/, and the test that runs it.
EXAMPLES: dict[str, str] = {
    "examples/selectors_server.py": (
        "tests/docs/test_examples.py::test_the_selectors_server_serves_real_clients"
    ),
    "examples/selectors_hub.py": (
        "tests/docs/test_examples.py::test_the_selectors_hub_serves_real_clients"
    ),
    "examples/fastapi_lifespan.py": "tests/docs/test_fastapi.py::test_fastapi_lifespan",
    **dict.fromkeys(
        (
            "examples/muting/muting_hub.py",
            "examples/muting/test_muting_hub.py",
            "examples/muting/test_one_situation.py",
        ),
        "tests/docs/test_muting.py::test_the_mended_one_passes",
    ),
    "examples/fastapi_hub.py": "tests/docs/test_fastapi.py::test_fastapi_hub",
    **{
        f"examples/tutorial/{loop}/{name}.py": f"tests/docs/test_tutorial.py::test_{name}"
        for loop in ("asyncio", "trio")
        for name in (
            "auth_server",
            "chat_server",
            "client",
            "echo_server",
            "notification_server",
            "robust_server",
        )
    },
}

RUN = {"python", "pycon", "console"}
SHOWN = {"css", "html", "http", "ini", "javascript", "json", "nginx", "sql", "text", "toml", "yaml"}
DIRECTIVES = {"automodule", "eval-rst", "literalinclude", "toctree"}

FILE_COMMENT = re.compile(r"<!-- file: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int  # of its first line of content, counted from 1
    language: str
    content: str
    file: str | None = None

    @property
    def place(self) -> str:
        """Where it stands, as an editor understands it."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks_in(page: Path, text: str, offset: int = 0) -> Iterator[Block]:
    """Yield the fenced blocks of a page, also those in lists, quotes and directives."""
    comment: re.Match[str] | None = None
    for token in MarkdownIt("commonmark").parse(text):
        if token.type == "html_block":
            comment = FILE_COMMENT.fullmatch(token.content.strip())
        elif token.type in {"fence", "code_block"}:
            assert token.map is not None
            # An indented block has no fence, hence starts one line earlier.
            line = offset + token.map[0] + (2 if token.type == "fence" else 1)
            file = comment[1] if comment else None
            yield Block(page, line, token.info.strip(), token.content, file)
            if token.info.startswith("{"):
                yield from blocks_in(page, token.content, line - 1)
            comment = None
        elif token.type.endswith("_open"):
            comment = None


BLOCKS = [block for page in PAGES for block in blocks_in(page, page.read_text())]


def as_file(blocks: list[Block]) -> str:
    """Join blocks with as many empty lines between them as keep their line numbers."""
    text = ""
    for block in blocks:
        text += "\n" * (block.line - 1 - text.count("\n")) + block.content
    return text


def commands_in(block: Block) -> Iterator[str]:
    """Yield the commands of a console block; a backslash goes on in the next line."""
    lines = iter(block.content.splitlines())
    for line in lines:
        if not line.startswith("$ "):
            continue
        command = line[2:]
        while command.endswith("\\"):
            command = command[:-1].rstrip() + " " + next(lines).strip()
        yield command.partition("  #")[0].strip()


def of(page: Path, language: str) -> list[Block]:
    """Return the blocks of a page that are run together."""
    return [
        block
        for block in BLOCKS
        if block.page == page and block.language == language and block.file is None
    ]


def has_test(name: str) -> bool:
    """Say whether there is a test of this name, written `path::function`."""
    path, _, function = name.partition("::")
    if not (ROOT / path).is_file():
        return False
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function
        for node in ast.walk(ast.parse((ROOT / path).read_text()))
    )


def title(value: object) -> str:
    """Name a page in the report."""
    return str(value.relative_to(ROOT)) if isinstance(value, Path) else str(value)


def execute(blocks: list[Block], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the blocks of a page that are in one language as one program, in an empty folder."""
    code = as_file(blocks)
    program = tmp_path / "page.py"
    how: list[str] = []
    if blocks[0].language == "pycon":
        how = ["-m", "doctest"]
        program = tmp_path / "page.txt"  # doctest imports what is called .py
    elif re.search(r"^(?:async )?def test_", code, re.MULTILINE):
        how = ["-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path)]
    program.write_text(code)
    return subprocess.run(
        [sys.executable, "-W", "error", *how, str(program)],
        cwd=tmp_path,
        # A page that connects to itself goes there straight, whatever is set here.
        env={name: os.environ[name] for name in os.environ if not name.lower().endswith("_proxy")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )


PROGRAMS = [
    (page, language) for page in PAGES for language in ("python", "pycon") if of(page, language)
]


@pytest.mark.parametrize(("page", "language"), PROGRAMS, ids=title)
def test_page(page: Path, language: str, tmp_path: Path) -> None:
    """What a page lets Python do runs to its end without an error, and gives what is shown."""
    answer = execute(of(page, language), tmp_path)
    report = f"{answer.stdout}{answer.stderr}".replace(f"{tmp_path}/page.py", str(page))
    assert answer.returncode == 0, report


def test_commands() -> None:
    """Every command shown has a test that runs it, and the table lists no other."""
    consoles = [block for block in BLOCKS if block.language == "console"]
    shown = {command: block.place for block in consoles for command in commands_in(block)}
    assert {command: place for command, place in shown.items() if command not in COMMANDS} == {}
    assert sorted(COMMANDS) == sorted(shown)
    assert [name for name in COMMANDS.values() if not has_test(name)] == []


def test_consoles_show_commands() -> None:
    """A console block begins with a prompt, so that its commands are seen."""
    consoles = [block for block in BLOCKS if block.language == "console"]
    assert [block.place for block in consoles if not block.content.startswith("$ ")] == []


def test_examples() -> None:
    """A block that claims to be a file is that file, and every example has a test that runs it."""
    claimed = [block for block in BLOCKS if block.file is not None]
    for block in claimed:
        assert block.language == "python", block.place
        assert block.file in EXAMPLES, block.place
        assert block.content == (DOCS / block.file).read_text(), block.place
    files = {path.relative_to(DOCS).as_posix() for path in DOCS.glob("examples/**/*.py")}
    assert sorted(files) == sorted(EXAMPLES)
    assert [name for name in EXAMPLES.values() if not has_test(name)] == []


def test_every_block_is_known() -> None:
    """Every block is run or in a language that is only shown; none is without a language."""
    directives = {f"{{{name}}}" for name in DIRECTIVES}
    assert [
        f"{block.place} {block.language!r}"
        for block in BLOCKS
        if block.language not in RUN | SHOWN
        and (block.language.split() or [""])[0] not in directives
    ] == []


SAMPLE = """\
Text.

```python
a = 1
```

- In a list:

  ```python
  print(a + 1)
  ```

<!-- file: examples/x.py -->

```python
file
```

<!-- file: examples/y.py -->
A paragraph between ends what the comment says.

```console
$ hubbub serve \\
    --port 0  # a comment
listening
$ ls
```

```{note}
~~~python
hidden
~~~
```
"""


def test_sample(tmp_path: Path) -> None:
    """Blocks are found wherever they stand, at their lines, and run as one program."""
    page = ROOT / "README.md"
    found = list(blocks_in(page, SAMPLE))
    python = [block for block in found if block.language == "python"]
    assert [(block.line, block.file) for block in python] == [
        (4, None),
        (10, None),
        (16, "examples/x.py"),
        (31, None),
    ]
    assert as_file(python[:2]) == "\n\n\na = 1\n\n\n\n\n\nprint(a + 1)\n"
    (console,) = (block for block in found if block.language == "console")
    assert console.file is None
    assert list(commands_in(console)) == ["hubbub serve --port 0", "ls"]

    assert execute(python[:2], tmp_path).stdout == "2\n"
    assert "NameError" in execute(python[1:2], tmp_path).stderr
    failing = Block(page, 1, "python", "def test_it() -> None:\n    assert 1 == 2\n")
    assert execute([failing], tmp_path).returncode == 1
    session = Block(page, 1, "pycon", ">>> 1 + 1\n2\n")
    assert execute([session], tmp_path).returncode == 0
    assert execute([replace(session, content=">>> 1 + 1\n3\n")], tmp_path).returncode == 1
