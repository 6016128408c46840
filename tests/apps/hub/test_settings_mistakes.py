"""Every way in which the configuration of a hub can be wrong, and what is said of it."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.apps.hub.settings_layers import variables
from hubbub.apps.hub.settings_loading import load
from hubbub.apps.hub.settings_mistakes import Mistakes
from hubbub.core.auth import hash_token
from support.certificates import Certificate
from support.configured import NOW, loaded, mistake, mistakes, settings, warnings

HASH = hash_token("alice's token")
SECRET = "0123456789abcdef" * 4
KEYED = f'[auth.jwt]\nalgorithms = ["HS256"]\nkey = "{SECRET}"\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a = \n", "hubbub.toml:1: is no TOML at column 5: invalid value"),
        (
            "[server]\nport = yes\n",
            "hubbub.toml:2: is no TOML at column 8: invalid value; text needs quotes",
        ),
        (
            "[server]\n[server]\n",
            "hubbub.toml:2: is no TOML at column 8: cannot declare server twice",
        ),
        ('a = "\n', "hubbub.toml:1: is no TOML at column 6: illegal character"),
        ("a = [\n1\n", "hubbub.toml:2: is no TOML at the end of the file: unclosed array"),
        ("a = " + "[" * 5000, "hubbub.toml: is nested too deep"),
        ("a = 1\nb = \udcff", "hubbub.toml:2: is not UTF-8; save it so"),
    ],
)
def test_no_toml(text: str, said: str) -> None:
    """A file that is no TOML is told with line and column, and nothing is said of what it lacks."""
    Path("hubbub.toml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Mistakes) as raised:
        load(None, {}, {"server.host": "0.0.0.0"})
    (found,) = raised.value.mistakes
    assert str(found).startswith(said)


def test_a_mark_at_the_beginning_and_other_line_ends() -> None:
    """A file as some editors of Windows save it is read, with the right lines."""
    Path("hubbub.toml").write_bytes(b"\xef\xbb\xbf[server]\r\n# x\r\nport = 70000\r\n")
    with pytest.raises(Mistakes, match=r"hubbub\.toml:3: server\.port: "):
        load(None, {}, {})


WRONG = [
    ("colour = 1", "1: colour: is not known here; known are server, auth, tokens"),
    ("[server]\nprot = 1", "2: server.prot: is not known here (did you mean 'port'?)"),
    ("[server]\nmax_size = 1", "2: server.max_size: is not known here; it belongs in [limits]"),
    ("[api]\nkey = 'x'", "2: api.key: is not known here; the key itself does not belong in"),
    ("server = 1", "1: server: is a number; write a table"),
    ("[server]\nport = '1'", "2: server.port: is the text '1'; write a whole number"),
    ("[server]\nport = 1.5", "2: server.port: is 1.5; write a whole number"),
    ("[server]\nport = true", "2: server.port: is true; write a whole number"),
    ("[server]\nport = 65536", "2: server.port: is 65536; must be 0 to 65535"),
    ("[server]\nhost = ''", "2: server.host: is empty; leave it out"),
    (
        "[server]\ntransport = 'tiro'",
        "2: server.transport: is the text 'tiro'; write \"asyncio\" or \"trio\" (did you mean 'trio'?)",
    ),
    ("[server]\norigins = 'all'", '2: server.origins: is the text \'all\'; write "any" or "same-host"'),
    ("[server]\norigins = [\n'any']", "3: server.origins[1]: 'any' must be written scheme://host"),
    ("[server]\ntrusted_proxies = ['me']", "2: server.trusted_proxies[1]: 'me': must be an IP"),
    ("[server]\nuvloop = true\ntransport = 'trio'", "2: server.uvloop: is a loop of asyncio"),
    ("[server]\ntls_key = 'x'", "2: server.tls_key: is there without a certificate; set tls_cert"),
    ("[server]\ntls_cert = 'x'", "2: server.tls_cert: x: no such file or directory"),
    ("[server]\nhost = '0.0.0.0'", "2: server.host: 0.0.0.0 can be reached from other machines"),
    ("[auth]\nanonymous = 'yes'", "2: auth.anonymous: is text; write true or false or a table"),
    ("[auth]\nanonymous = false", "2: auth.anonymous: nobody could enter"),
    ("[auth]\nanonymous.read = ['a..b']", "2: auth.anonymous.read[1]: the pattern 'a..b' has an"),
    ("[limits]\nmax_size = 0", "2: limits.max_size: is 0; must be a whole number of at least 1"),
    ("[limits]\nmax_siez = 1", "2: limits.max_siez: is not known here (did you mean 'max_size'?)"),
    ("[limits]\nclose_timeout = 0", "2: limits.close_timeout: is 0.0; must be a number above 0"),
    (
        "[limits]\nping_timeout = -1",
        "2: limits.ping_timeout: is -1.0; must be a number above 0 (0 switches it off)",
    ),
    ("[limits]\nping_timeout = nan", "2: limits.ping_timeout: is nan; must be a number above 0"),
    (
        "[limits]\nwrite_limit = 33554432",
        "2: limits.write_limit: does not fit: max_write_buffer=16777216: must be at least write_limit",
    ),
    ("rules = 1", "1: rules: is 1; write a table under its own [[…]] for each"),
    ("[[rules]]\n", "1: rules[1].pattern: is missing; write text in quotes"),
    ("[[rules]]\npattern = 'a*'", "2: rules[1].pattern: the pattern 'a*' has a wildcard inside"),
    ("[[rules]]\npattern='a'\nannounce = true", "3: rules[1].announce: only a topic with presence"),
    (
        "[[rules]]\npattern='a'\nslow = 'drop'",
        "3: rules[1].slow: is the text 'drop'; write \"disconnect\" or \"drop-oldest\" or \"latest\"",
    ),
    ("[[rules]]\npattern='a'\nmax_message=0", "3: rules[1].max_message: is 0; must be a whole"),
    ("[[tokens]]\nuser='a'", "1: tokens[1].hash: is missing; write text in quotes"),
    ("[[tokens]]\nuser='a'\nhash='x'", "3: tokens[1].hash: must be 'sha256:' and 64"),
    (f"[[tokens]]\nhash='{HASH}'\nuser=''", "3: tokens[1].user: a name has 1 to 64 characters"),
    (f"[[tokens]]\nhash='{HASH}'\nuser='a\\u0007'", "3: tokens[1].user: a name has"),
    (
        f"[[tokens]]\nhash='{HASH}'\nuser='a'\nuntil='2027-01-01'",
        "4: tokens[1].until: is the text '2027-01-01'; write a date such as 2027-01-31 or a moment",
    ),
    (
        f"[[tokens]]\nhash='{HASH}'\nuser='a'\nuntil=2027-01-01T00:00:00",
        "4: tokens[1].until: has no zone; write 2027-01-01T00:00:00Z if that is UTC",
    ),
    (
        f"[[tokens]]\nhash='{HASH}'\nuser='a'\n[[tokens]]\nhash='{HASH}'\nuser='b'",
        "5: tokens[2].hash: is the same as at hubbub.toml:2; remove one of them",
    ),
    ("[auth.jwt]\nkey='x'", "1: auth.jwt.algorithms: is missing; write a list of texts"),
    ("[auth.jwt]\nalgorithms=[]\nkey='x'", "2: auth.jwt.algorithms: name at least one"),
    ("[auth.jwt]\nalgorithms=['HS256']", "1: auth.jwt: has no key; write key_file, key, keys or"),
    (f"{KEYED}algorithms = ['none']".replace('algorithms = ["HS256"]\n', ""), "3: auth.jwt.algorithms[1]: 'none' lets"),
    (f"{KEYED}keys = {{a = '{SECRET}'}}", "4: auth.jwt.keys: key is there too; leave one of them out"),
    ("[auth.jwt]\nalgorithms=['HS256']\nkey='short'", "3: auth.jwt.key: has 5 bytes, and"),
    ("[auth.jwt]\nalgorithms=['HS256']\nkey_file='x'", "3: auth.jwt.key_file: x: no such file"),
    ("[auth.jwt]\nalgorithms=['HS256']\n[auth.jwt.keys]\na='short'", "4: auth.jwt.keys.a: has 5"),
    ("[auth.jwt]\nalgorithms=['HS256']\nkeys={}", "3: auth.jwt.keys: is empty; write a key as"),
    (f"{KEYED}leeway = -1", "4: auth.jwt.leeway: is -1.0; must be 0 to 3600 seconds"),
    (f"{KEYED}issuer = ''", "4: auth.jwt.issuer: is empty; leave it out"),
    ("[api]\nkey_hash = 'x'", "2: api.key_hash: must be 'sha256:' and 64 hexadecimal digits"),
    (f"[api]\nkey_hash = '{HASH}'\nkey_file = 'x'", "3: api.key_file: key_hash is there too"),
    ("[api]\nkey_file = 'x'", "2: api.key_file: x: no such file or directory"),
    ("[log]\nlevel = 'loud'", '2: log.level: is the text \'loud\'; write "debug" or "error"'),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[said.split(" ")[1] for _, said in WRONG])
def test_a_mistake_in_the_file(text: str, said: str) -> None:
    """Each is told once, with its line, what is wrong and what to write."""
    text = text.replace("'a\\u0007'", '"a\\u0007"')
    assert mistake(text).startswith(f"hubbub.toml:{said}")


def test_all_mistakes_are_told_in_one_run() -> None:
    """Nothing that is wrong hides what else is wrong, and they come in the order of their lines."""
    text = """[limits]
max_size = '64k'
max_name = 0
write_limit = 33554432
[[rules]]
pattern = 'a..b'
announce = true
announce_max = 0
slow = 1
[[tokens]]
user = 5
read = ['x*', 7]
[auth.jwt]
algorithms = ['HS257', 'none']
key = 5
[server]
prot = 1
tls_cert = 'missing.pem'
tls_key = 'missing.key'
"""
    found = mistakes(
        text, {"HUBBUB_LOG_LEVEL": "loud", "HUBBUB_SERVER_X": "1"}, {"server.port": -1}
    )
    places = [line.split(": ")[0].removeprefix("hubbub.toml:") for line in found]
    lines = [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 12, 14, 14, 15, 17, 18, 19]
    assert places == [*map(str, lines), "HUBBUB_LOG_LEVEL", "HUBBUB_SERVER_X", "--port"]


def test_a_secret_is_not_repeated() -> None:
    """What stands where a key should is not shown, whatever is wrong with it."""
    for line in ("key = 12345678", "key = ['12345678']", "key = '12345678'"):
        (said,) = mistakes(f"[auth.jwt]\nalgorithms = ['HS256']\n{line}\n")
        assert "12345678" not in said
    for text in (
        "[[tokens]]\nuser = 'a'\nhash = 'hub_12345678'\n",
        "tokens = ['hub_12345678']\n",
        "api = '12345678'\n",
        "[auth]\njwt = '12345678'\n",
        f"{KEYED.replace('key =', 'keys =').replace(SECRET, '12345678')}",
    ):
        assert "12345678" not in "".join(mistakes(text))


def test_mistakes_of_the_environment() -> None:
    """A variable that is unknown or has a wrong value is named, with what was meant."""
    environ = {
        "HUBBUB_API_KEY_HASH": HASH,
        "HUBBUB_API_KEY": "the key itself, of 29 letters",
        "HUBBUB_AUTH_ANONYMOUS": "false",
        "HUBBUB_AUTH_ANONYMOUS_READ": "a",
        "HUBBUB_LIMITS_MAX_SIZE": "64k",
        "HUBBUB_RULES_0_PATTERN": "a",
        "HUBBUB_SERVER_ORIGINS": "example.org",
        "HUBBUB_SERVER_PROT": "1",
        "HUBBUB_SERVER_UVLOOP": "perhaps",
        "HUBBUB_ELSE": "is somebody else's",
    }
    assert mistakes(environ=environ) == [
        "HUBBUB_AUTH_ANONYMOUS_READ: HUBBUB_AUTH_ANONYMOUS says something else; leave one of them out",
        "HUBBUB_LIMITS_MAX_SIZE: is '64k'; write a whole number",
        "HUBBUB_RULES_0_PATTERN: tokens and rules can only stand in a file",
        "HUBBUB_SERVER_PROT: is not known (did you mean 'HUBBUB_SERVER_PORT'?)",
        "HUBBUB_SERVER_UVLOOP: is 'perhaps'; write true or false",
        "HUBBUB_API_KEY: HUBBUB_API_KEY_HASH is set too; leave one of them out",
        "HUBBUB_SERVER_ORIGINS: 'example.org' must be written scheme://host or scheme://host:port",
        (
            "HUBBUB_AUTH_ANONYMOUS: nobody could enter: it is off, and there are no tokens and no "
            "[auth.jwt]; add one of these, or write true"
        ),
    ]


def test_a_variable_of_no_section() -> None:
    """One that nearly is one of ours is warned of; all others are left alone."""
    environ = {"HUBBUB_LIMIT_MAX_SIZE": "1", "HUBBUB_SERVICE_HOST": "x", "HUBBUB_PORT": "tcp://x"}
    (warning,) = loaded("", environ).warnings
    assert str(warning) == (
        "HUBBUB_LIMIT_MAX_SIZE: is not known, and left alone "
        "(did you mean 'HUBBUB_LIMITS_MAX_SIZE'?)"
    )


def test_mistakes_of_what_is_replaced() -> None:
    """A wrong value in the file is told although a variable or a flag counts instead."""
    text = "[limits]\nmax_size = 'x'\n[server]\nport = 'y'\n[auth]\nanonymous = 'z'\n"
    environ = {"HUBBUB_LIMITS_MAX_SIZE": "1", "HUBBUB_AUTH_ANONYMOUS_READ": "a"}
    found = mistakes(text, environ, {"server.port": 1})
    assert [line.split(":")[1] for line in found] == ["2", "4", "6"]


def test_a_flag_of_no_setting() -> None:
    """Whoever writes a program is told of a key that is none."""
    with pytest.raises(LookupError, match=r"server\.prot"):
        load(None, {}, {"server.prot": 1})


def test_everybody_from_everywhere() -> None:
    """Another host than loopback needs tokens, JWTs, or that it is said: let everybody in."""
    elsewhere = "[server]\nhost = '192.0.2.1'\n"
    assert len(mistakes(elsewhere)) == 1
    assert settings(f"{elsewhere}[auth]\nanonymous = true").anonymous is not None
    assert settings(f"{elsewhere}{KEYED}").anonymous is None
    assert loaded(elsewhere, {}, {"auth.anonymous": True}).settings.anonymous is not None
    for host in ("127.0.0.2", "::1", "localhost"):
        assert settings(f"[server]\nhost = '{host}'\n").anonymous is not None
    assert loaded("", {}, {"server.unix": "hub.sock"}).settings.anonymous is not None


def test_tls_files(folder: Path, certificate: Certificate) -> None:
    """A certificate must be one, with its key, and the key not encrypted."""
    pem, key = certificate.certificate.read_text(), certificate.key.read_text()
    (folder / "cert.pem").write_text(pem)
    (folder / "key.pem").write_text(key)
    (folder / "both.pem").write_text(pem + key)
    assert settings("[server]\ntls_cert = 'both.pem'\n").server.tls_cert == "both.pem"
    two = settings("[server]\ntls_cert = 'cert.pem'\ntls_key = 'key.pem'\n")
    assert two.server.tls_key == "key.pem"
    assert mistake("[server]\ntls_cert = 'cert.pem'\n") == (
        "hubbub.toml:2: server.tls_cert: cert.pem: not a PEM certificate with its private key; "
        "name the key's file as tls_key"
    )
    encrypt = ["openssl", "pkey", "-in", "key.pem", "-aes128", "-passout", "pass:x"]
    subprocess.run([*encrypt, "-out", "locked.pem"], check=True, capture_output=True)
    assert mistake("[server]\ntls_cert = 'cert.pem'\ntls_key = 'locked.pem'\n") == (
        "hubbub.toml:3: server.tls_key: the private key is encrypted; name a file with one that is not"
    )


def test_warnings() -> None:
    """What can be used, but hardly can be meant, is told and does no harm."""
    assert warnings(
        "[[rules]]\npattern='a.>'\n[[rules]]\npattern='b'\n[[rules]]\npattern='a.*'"
    ) == [
        (
            "hubbub.toml:6: rules[3].pattern: a.* never counts: a.>, at hubbub.toml:1, matches all "
            "of it and stands before it; write the narrower one first"
        )
    ]
    assert warnings("[[rules]]\npattern='a'\nmax_message=70000") == [
        "hubbub.toml:3: rules[1].max_message: 70000 never counts: limits.max_size, 65536, is less"
    ]
    ended = f"[[tokens]]\nhash='{HASH}'\nuser='alice'\nread=['a']\nuntil=2026-01-01\n"
    assert warnings(ended) == ["hubbub.toml:5: tokens[1].until: alice's token has ended; remove it"]
    assert warnings(f"[[tokens]]\nhash='{HASH}'\nuser='alice'\n") == [
        "hubbub.toml:1: tokens[1]: alice may read and write nothing"
    ]
    assert warnings("[metrics]\nloopback = false") == [
        (
            "hubbub.toml:2: metrics.loopback: nobody can read /metrics: it is off, and there is no "
            "API key; add one, or set metrics.enabled to false"
        )
    ]
    (warning,) = loaded("", {"HUBBUB_API_KEY": "short"}).warnings
    assert str(warning).startswith("HUBBUB_API_KEY: the API key has 5 characters")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 2**70)
    | st.floats()
    | st.sampled_from(["", "a", "a..b", ">", "room.>", HASH, "HS256", "\0", "x" * 200])
    | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["read", "pattern", "hash", "user", "key", "x"]), inner)
    ),
    max_leaves=6,
)


@hypothesis.settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from([*(".".join(map(str, p)) for p, _ in variables().values())]), VALUES
    )
)
def test_whatever_flags_say(flags: dict[str, object]) -> None:
    """Any value at any place is settings or mistakes, never another exception."""
    with suppress(Mistakes):
        load(os.devnull, {}, flags, now=NOW)


@given(st.dictionaries(st.sampled_from([*variables(), "HUBBUB_API_KEY"]), st.text(max_size=8)))
def test_whatever_variables_say(environ: dict[str, str]) -> None:
    """Any text in any variable is settings or mistakes, never another exception."""
    with suppress(Mistakes):
        load(os.devnull, environ, {}, now=NOW)
