"""The files name no address that may vanish, change or tell where they were written."""

from __future__ import annotations

import re

from support.tree import ROOT, source_files

# The host of an address: up to the port, the path, or whatever ends it in code and prose.
ADDRESS = re.compile(r"https?://(?:[^\s/@\"'`]*@)?(\[[^\]\s]*\]|[^\s/:\"'`<>()\[\],;\\]*)")

STANDARDS = {"datatracker.ietf.org", "www.rfc-editor.org", "www.w3.org"}
LOCAL = {"localhost", "127.0.0.1", "0.0.0.0", "[::1]"}
# RFC 2606: https://www.rfc-editor.org/rfc/rfc2606 keeps these names for examples.
RESERVED = re.compile(r"(.*\.)?(example|test|invalid|localhost|example\.(com|net|org))\.?")


def is_allowed(host: str) -> bool:
    """Say whether files may name this host: nothing, a template, here, a standard, an example."""
    return (
        not host.strip(".")
        or host[0] in "{$%*|"
        or host in STANDARDS | LOCAL
        or RESERVED.fullmatch(host) is not None
    )


def test_addresses() -> None:
    """Every address in a source file is a standard's, this machine's own, or an example."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in source_files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        for match in ADDRESS.finditer(line)
        if not is_allowed(match[1])
    ]
    assert found == []


def test_what_counts_as_an_address() -> None:
    """The pattern sees through users and ports, and the list knows a host from its look-alikes."""
    # Written in pieces, or this file would hold what it forbids.
    line = "see S://user:pw@evil.com:80/x and S://[::1]:1 and S://example.com.evil.com"
    hosts = [match[1] for match in ADDRESS.finditer(line.replace("S:", "https:"))]
    assert hosts == ["evil.com", "[::1]", "example.com.evil.com"]
    assert [is_allowed(host) for host in hosts] == [False, True, False]
    assert is_allowed("chat.example.org")
    assert is_allowed("{host}")
