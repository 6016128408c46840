"""The configuration of a hub: what it can say, and what counts."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import jwt as pyjwt
import pytest

from hubbub.apps.hub.settings import Settings
from hubbub.apps.hub.settings_layers import variables
from hubbub.apps.hub.settings_loading import load
from hubbub.apps.hub.settings_mistakes import Mistakes
from hubbub.apps.hub.settings_secrets import api_key_hash, authenticator
from hubbub.core.auth import AnonymousAccess, External, TokenAuth, hash_token
from hubbub.core.grants import Grant
from hubbub.core.hub_limits import HubLimits
from hubbub.core.rules import DEFAULT_RULES
from support.certificates import Certificate
from support.configured import NOW, loaded, mistake, settings

HASH = hash_token("alice's token")
OTHER = hash_token("bob's token")
SECRET = "0123456789abcdef" * 4
KEYED = f'[auth.jwt]\nalgorithms = ["HS256"]\nkey = "{SECRET}"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# What it can say.


def test_nothing_at_all() -> None:
    """Without a file the defaults hold, and people may enter under names that they choose."""
    nothing = load(None, {}, {})
    assert nothing.file is None
    assert nothing.warnings == ()
    assert nothing.settings == Settings()
    config = nothing.settings.hub_config()
    assert config.limits == HubLimits()
    assert config.auth is None
    assert config.anonymous == AnonymousAccess()
    assert config.rules == DEFAULT_RULES
    assert config.options.origins == "same-host"


EVERYTHING = f"""
[server]
host = "::1"
port = 0
transport = "trio"
tls_cert = "tls/cert.pem"
origins = ["https://example.org"]
trusted_proxies = ["10.0.0.0/8", "unix"]
compression = "deflate"

[auth]
anonymous = {{ read = ["room.>"], write = [] }}

[auth.jwt]
algorithms = ["HS256"]
key_files = {{ new = "new.key" }}
audience = "hub"
issuer = ["one", "two"]
leeway = 5
claims = {{ user = "name" }}

[[tokens]]
hash = "{HASH}"
user = "alice"
read = ["alerts.>"]
write = ["room.lobby"]
admin = true
until = 2027-01-01

[[rules]]
pattern = "alerts.>"
priority = "high"
slow = "latest"

[limits]
max_size = 1000
ping_interval = 0
open_timeout = 3

[api]
key_hash = "{OTHER}"

[metrics]
loopback = false

[log]
level = "warning"
format = "json"
"""


def test_everything_at_once(folder: Path, certificate: Certificate) -> None:
    """Each section comes to what it says, and paths count from the folder of the file."""
    (folder / "etc" / "tls").mkdir(parents=True)
    both = certificate.certificate.read_bytes() + certificate.key.read_bytes()
    (folder / "etc" / "tls" / "cert.pem").write_bytes(both)
    (folder / "etc" / "new.key").write_text(f"{SECRET}\n")
    (folder / "etc" / "hub.toml").write_text(EVERYTHING)
    found = load("etc/hub.toml", {}, {}, now=NOW)
    assert found.file == "etc/hub.toml"
    assert found.warnings == ()
    made = found.settings
    assert (made.server.host, made.server.port, made.server.transport) == ("::1", 0, "trio")
    assert made.server.tls_cert == "etc/tls/cert.pem"
    assert made.limits == HubLimits(max_size=1000, ping_interval=None, open_timeout=3.0)
    assert (made.log.level, made.log.format) == ("warning", "json")
    assert api_key_hash(made.api) == OTHER
    assert made.metrics.enabled
    assert not made.metrics.loopback
    config = made.hub_config()
    assert config.options.limits is made.limits
    assert config.options.origins == ("https://example.org",)
    assert config.options.deflate is not None
    assert config.trusted_proxies is not None
    assert config.trusted_proxies.entries == ("10.0.0.0/8", "unix")
    assert config.anonymous == AnonymousAccess(read=("room.>",), write=())
    assert [rule.pattern for rule in config.rules] == ["alerts.>", "room.>"]
    assert config.rules[0].slow == "latest"
    assert isinstance(config.auth, External)


def test_tokens_are_known_by_their_hashes() -> None:
    """The hub knows a configured token, what it grants and when it ends, and no other."""
    text = f'[[tokens]]\nhash = "{HASH}"\nuser = "alice"\nread = ["a"]\nuntil = 2027-01-01\n'
    made = settings(text)
    assert authenticator(made) is None
    auth = made.hub_config().auth
    assert isinstance(auth, TokenAuth)
    end = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert auth.authenticate("alice's token", end - 1) == Grant(
        user="alice", read=("a",), until=end
    )
    assert auth.authenticate("alice's token", end) is None
    assert auth.authenticate("bob's token", end - 1) is None
    assert made.hub_config().anonymous is None


def test_tokens_and_jwts_side_by_side() -> None:
    """A token is looked for among the known ones, then taken for a JWT."""
    made = settings(f'{KEYED}[[tokens]]\nhash = "{HASH}"\nuser = "alice"\n')
    look = authenticator(made, clock=lambda: 0.0)
    assert look is not None
    known = look("alice's token")
    assert known == Grant(user="alice")
    issued = look(pyjwt.encode({"sub": "ann", "exp": 2**40, "read": ["a.>"]}, SECRET))
    assert issued == Grant(user="ann", read=("a.>",), until=float(2**40))
    assert look("nobody's") is None


def test_secrets_are_not_shown() -> None:
    """No key stands in what a program would log of its settings."""
    assert SECRET not in repr(settings(KEYED))


@pytest.mark.parametrize("written", ["true", '{ write = ["a"] }'])
def test_anonymous_beside_tokens(written: str) -> None:
    """People without a token may enter beside those who have one only where it is said."""
    tokens = f'[[tokens]]\nhash = "{HASH}"\nuser = "alice"\nread = [">"]\n'
    assert settings(tokens).anonymous is None
    assert settings(f"auth.anonymous = {written}\n{tokens}").anonymous is not None


# What counts.


def test_precedence() -> None:
    """A flag counts before a variable, a variable before the file, the file before the default."""
    text = "[server]\nport = 1\n[limits]\nmax_size = 1\nmax_name = 1\nmax_queue = 1\n"
    environ = {"HUBBUB_LIMITS_MAX_SIZE": "2", "HUBBUB_LIMITS_MAX_NAME": "2"}
    found = loaded(text, environ, {"limits.max_name": 3, "server.port": None})
    limits = found.settings.limits
    assert (limits.max_queue, limits.max_size, limits.max_name) == (1, 2, 3)
    assert found.settings.server.port == 1
    assert str(found.source("limits", "max_queue")) == "hubbub.toml:6"
    assert str(found.source("limits", "max_size")) == "HUBBUB_LIMITS_MAX_SIZE"
    assert str(found.source("limits", "max_name")) == "--max-name"
    assert str(found.source("limits", "max_topics")) == "default"


def test_variables_are_read_by_type() -> None:
    """Numbers, yes and no, words, and lists with commas; an empty variable is none."""
    made = settings(
        HUBBUB_SERVER_PORT="0",
        HUBBUB_SERVER_UVLOOP="on",
        HUBBUB_SERVER_HOST="",
        HUBBUB_SERVER_ORIGINS="any",
        HUBBUB_SERVER_TRUSTED_PROXIES="10.0.0.1, unix,",
        HUBBUB_LIMITS_PING_INTERVAL="0",
        HUBBUB_LIMITS_CONTROL_RATE="1e3",
        HUBBUB_AUTH_ANONYMOUS_READ="room.>",
        HUBBUB_AUTH_JWT_ALGORITHMS="HS256",
        HUBBUB_AUTH_JWT_KEY=SECRET,
        HUBBUB_AUTH_JWT_AUDIENCE="one,two",
        HUBBUB_AUTH_JWT_CLAIMS_USER="name",
        HUBBUB_LOG_LEVEL="debug",
    )
    assert (made.server.port, made.server.uvloop, made.server.host) == (0, True, "127.0.0.1")
    assert made.server.origins == "any"
    assert made.hub_config().options.origins is None
    assert made.server.trusted_proxies == ("10.0.0.1", "unix")
    assert (made.limits.ping_interval, made.limits.control_rate) == (None, 1000.0)
    assert made.anonymous is not None
    assert made.anonymous.read == ("room.>",)
    assert made.auth.jwt is not None
    assert made.auth.jwt.audience == ("one", "two")
    assert made.auth.jwt.claims.user == "name"
    assert made.log.level == "debug"
    listed = settings(HUBBUB_SERVER_ORIGINS="https://example.org,https://example.com")
    assert listed.server.origins == ("https://example.org", "https://example.com")


def test_every_setting_has_a_variable_of_its_own() -> None:
    """No two settings share the name of a variable, and none takes that of the file or the key."""
    names = [*variables(), "HUBBUB_CONFIG", "HUBBUB_API_KEY"]
    assert len(names) == len(set(names))
    assert {f"HUBBUB_LIMITS_{name.upper()}" for name in HubLimits.__struct_fields__} <= set(names)
    assert "HUBBUB_TOKENS" not in names
    assert "HUBBUB_RULES" not in names


def test_which_file_is_read(folder: Path) -> None:
    """The flag names it, else the variable, else it is hubbub.toml; a named one must be there."""
    (folder / "one.toml").write_text("server.port = 1")
    (folder / "two.toml").write_text("server.port = 2")
    Path("hubbub.toml").write_text("server.port = 3")
    environ = {"HUBBUB_CONFIG": "two.toml"}
    assert load(folder / "one.toml", environ, {}).settings.server.port == 1
    assert load(None, environ, {}).settings.server.port == 2
    assert load(None, {"HUBBUB_CONFIG": ""}, {}).settings.server.port == 3
    assert load(None, {"HUBBUB_CONFIG": os.devnull}, {}).settings.server.port == 8765
    with pytest.raises(Mistakes) as raised:
        load(None, {"HUBBUB_CONFIG": "three.toml"}, {})
    assert str(raised.value) == "three.toml: no such file or directory"
    with pytest.raises(Mistakes):
        load("", {}, {})


def test_a_file_of_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user's hubbub.toml counts only where it is named."""
    Path("hubbub.toml").write_text("server.port = 1")
    if os.geteuid() == 0:
        os.chown("hubbub.toml", 4711, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(Mistakes, match="belongs to another user; name it with --config"):
        load(None, {}, {})
    assert load("hubbub.toml", {}, {}).settings.server.port == 1


def test_a_stronger_place_replaces_rivals() -> None:
    """A flag for a port wins over a file's Unix socket, and the other way round; at one place both are wrong."""
    unix, port = '[server]\nunix = "hub.sock"\n', "[server]\nport = 1\n"
    assert loaded(unix, {}, {"server.port": 2}).settings.server.unix is None
    made = loaded(port, {}, {"server.unix": "hub.sock"}).settings
    assert (made.server.unix, made.server.port) == ("hub.sock", 8765)
    assert mistake(f"{unix}port = 1\n") == (
        "hubbub.toml:3: server.port: a Unix socket has none; leave it or unix out"
    )
    made = settings(KEYED, HUBBUB_AUTH_JWT_KEY="f" * 64)
    assert made.auth.jwt is not None
    assert made.auth.jwt.key == "f" * 64


def test_the_api_key(folder: Path) -> None:
    """It comes as a hash, from a file, or from its variable, which wins and is kept as a hash."""
    (folder / "api.key").write_text(f"{SECRET}\n")
    hashed = hash_token(SECRET)
    assert api_key_hash(settings(f'[api]\nkey_hash = "{hashed}"').api) == hashed
    in_file = '[api]\nkey_file = "api.key"'
    assert api_key_hash(settings(in_file).api) == hashed
    made = settings(in_file, HUBBUB_API_KEY="another key of the operator")
    assert api_key_hash(made.api) == hash_token("another key of the operator")
    assert api_key_hash(Settings().api) is None
