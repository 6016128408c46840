"""`hubbub config`: says what is wrong with a configuration, or what it comes to."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec
import typer

from ..escaping import escape
from .printing import print_json, print_line
from .settings_mistakes import Mistake, Mistakes

__all__ = ["ConfigFile", "config", "tell_mistakes"]

config = typer.Typer(
    help="Check the configuration of a hub, or show it.", no_args_is_help=True, add_completion=False
)

ConfigFile = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration; else the one that HUBBUB_CONFIG names, or hubbub.toml if there is one.",
        show_default=False,
    ),
]
AsJSON = Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")]
Topic = Annotated[
    str | None,
    typer.Argument(help="Show the rule that applies to this topic.", show_default=False),
]

# What is imported in functions is not needed for --help.


def tell_mistakes(mistakes: Mistakes) -> None:
    """A line for each on standard error."""
    _warn(mistakes.warnings)
    for mistake in mistakes.mistakes:
        sys.stderr.write(f"hubbub: {escape(str(mistake))}\n")


def _warn(warnings: Iterable[Mistake]) -> None:
    for warning in warnings:
        sys.stderr.write(f"hubbub: {escape(warning.told('warning'))}\n")


@config.command()
def check(config: ConfigFile = None, as_json: AsJSON = False) -> int:
    """Say all that is wrong, each with its place. Variables of the environment are looked at too."""
    from .settings_loading import load
    from .settings_summary import summary

    try:
        loaded = load(config, os.environ, {})
    except Mistakes as error:
        if as_json:
            print_json(_verdict(error.mistakes, error.warnings))
        else:
            _print_found(error.mistakes, error.warnings)
        return 1
    if as_json:
        print_json({**_verdict((), loaded.warnings), "file": loaded.file})
        return 0
    _print_found((), loaded.warnings)
    print_line(f"ok: {loaded.file or 'there is no file, so the defaults hold'}", "green")
    for title, text in summary(loaded.settings):
        print_line(f"  {title:13} {text}")
    return 0


@config.command()
def show(topic: Topic = None, config: ConfigFile = None, as_json: AsJSON = False) -> int:
    """Show all settings and where each came from, or the rule that applies to a topic."""
    from ...core.topics import check_topic
    from .settings_loading import load
    from .settings_showing import Row, as_toml, default_rules, rows, rule_for

    if topic is not None:
        try:
            check_topic(topic)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    loaded = load(config, os.environ, {})
    _warn(loaded.warnings)

    def values(shown: Iterable[Row]) -> dict[str, object]:
        return {row.key: {"value": row.value, "source": str(row.source)} for row in shown}

    if topic is not None:
        rule = rule_for(topic, loaded)
        if as_json:
            print_json(
                {
                    "topic": topic,
                    "rule": rule.number,
                    "source": str(rule.source),
                    "values": {str(row.path[-1]): values([row])[row.key] for row in rule.rows},
                }
            )
        else:
            print_line(f"# {topic}: {rule.described}", "dim")
            _print_rows(as_toml(rule.rows))
        return 0
    shown = rows(loaded)
    if as_json:
        print_json({"file": loaded.file, "settings": values(shown)})
    else:
        print_line(f"# {loaded.file or 'no file was read'}", "dim")
        _print_rows(as_toml(shown))
        print_line("")
        for line in default_rules():
            print_line(f"# {line}", "dim")
    return 0


def _verdict(mistakes: Sequence[Mistake], warnings: Sequence[Mistake]) -> dict[str, object]:
    return {
        "ok": not mistakes,
        "mistakes": [_as_json(mistake) for mistake in mistakes],
        "warnings": [_as_json(warning) for warning in warnings],
    }


def _as_json(mistake: Mistake) -> dict[str, object]:
    source = msgspec.structs.asdict(mistake.source)
    return {"source": source, "key": mistake.key, "text": mistake.text, "message": str(mistake)}


def _print_found(mistakes: Sequence[Mistake], warnings: Sequence[Mistake]) -> None:
    for mistake in mistakes:
        print_line(str(mistake))
    for warning in warnings:
        print_line(warning.told("warning"), "yellow")


def _print_rows(lines: Iterable[tuple[str, str]]) -> None:
    for line, comment in lines:
        print_line(line, comment=comment)
