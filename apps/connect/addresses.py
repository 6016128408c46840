"""What is said on the command line of a server: where it is, headers, whose certificates are trusted."""

import re
import ssl

import typer

from ..failure import Failure

__all__ = ["context_of", "header_of", "uri_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def uri_of(url: str) -> str:
    """What was meant: people copy addresses from browsers, and leave schemes out."""
    match = _SCHEME.match(url)
    if match is None:
        return f"ws://{url}"
    return f"ws{url[4:]}" if match[1].lower() in ("http", "https") else url


def header_of(line: str) -> tuple[str, str]:
    """A header's name and value.

    Raises:
        BadParameter: there is no name, or no value.
    """
    name, colon, value = line.partition(":")
    if not colon or not name:
        # Not shown: what was forgotten may be the name, and the value a secret.
        raise typer.BadParameter("--header must be written 'Name: value'")
    return name, value.strip(" \t")


def context_of(ca: str) -> ssl.SSLContext:
    """What trusts the CAs of a file, and no others.

    Raises:
        Failure: it has none, or can't be read.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise Failure(f"--ca {ca}: not a PEM file with certificates") from error
    except OSError as error:
        raise Failure(f"--ca {ca}: {error.strerror}") from error
