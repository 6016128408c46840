"""JSON Web Tokens: what is believed, and every way in which it is not."""

import base64
import hmac
import json
import logging
import subprocess
import sys
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubbub.core.grants import Grant
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.authenticators.jwt import JWTAuthenticator

NOW = 1_800_000_000.0
SECRET = "correct horse battery staple, 32 bytes and more"
OTHER = "the secret of another issuer, of as many bytes"
CLAIMS = {
    "sub": "alice",
    "exp": NOW + 60,
    "read": ["alerts.>", "room.*"],
    "write": ["room.lobby"],
    "iss": "https://issuer.example.com",
    "aud": "hubbub",
}
ALICE = Grant(
    user="alice", read=("alerts.>", "room.*"), write=("room.lobby",), until=NOW + 60
)  # fmt: skip

# What is signed here was made once, with keys that are kept nowhere.
RSA_KEY = """-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvbIsJEwa4VnQ6+ztWcNN
wknMwCouq9aGA8ErOtSlAL8/wNW9DW52wDo5F1RNXKv6XTOm+nupVx/LDVmPJTPt
UuWg2lptHibyN/o0ZYlX7kLvmNTTMSHq/g2srCL3fKFG+28txgtAJHhu0FWbN6cx
JG6gy0umX8P//LF9CgAvdfoc687MjGI98PTJkoH2Qsu5a5+6lgSqam5Go7EvTHv/
opVxDutkgisJ5Pv7Mgh6I0gP91XWtwiCRxXpitUkjoB5ro2QgqcR4uawsoFdXLpi
o9YkNo+ewu+Vyt3NL+mmZKI3UJn0bkpGBakGeia6Qe1CNZpupCF9GmZZQFqA02ab
wwIDAQAB
-----END PUBLIC KEY-----
"""
RSA_TOKEN = (
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTgwMDAwMDEwMCwicmVhZCI6WyJh"
    "bGVydHMuPiJdfQ.UV4zryjf9Hr8mHcmq5la9SjDU8DvRDxmTC4rafmdk5DipZ0q2izzeMPEUwi18s-n4jSJ6HGNmJIESbF"
    "CczeNOAsQGg8y0n-R4Kj0SCa1itRQTTOuHuxpkIkbHnu4nI20siRdA0ExULyvbxC__GOIxhIvUWxXrZjDuyfJWmsN65l86"
    "bPvRmDIWfOlltrhxRzFLHswWR_CzUu_7OnJoYWkkokxKXj31ECpmuv-ExaOZmufH_4zmoBm8LPe0wzmY6WgbS8y55mlDBp"
    "-jGkZpbDjPrKo7zGPIzzIWSC2vvXYAvFD821YBRpkvA9lSTx1h9Po2VwkYTMcOWm_CARooEGyxQ"
)
SHORT_RSA_KEY = """-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCz/xXzeack9AQ0LB6SkUmu1s/T
jcGbs+iQFzqQuLoVjoOSTYnZUGG9BmhbDjEGMpNufvcLspot7TasnIA2pO1b1BbQ
nuD99Omf8t0MJJwCzX3biQzagOjrgSJFajm/k7l4PXLTmWi56os/RYdv0iD75P/h
4Okigw1kcTfDR9ApPQIDAQAB
-----END PUBLIC KEY-----
"""
EC_KEY = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEtxe9Gif36qI2HUv/rwsR7oVt0mZG
PWDd2wGA7QdTRg/a0l5ldl/TY8Oa2RH95m6KZV5qHop67hS5uuYh+X8x9A==
-----END PUBLIC KEY-----
"""
EC_TOKEN = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTgwMDAwMDEwMCwicmVhZCI6WyJh"
    "bGVydHMuPiJdfQ.On6ZmCXZD942o6IRhk7H-XFPGf0n1jWlvLrshSSZNL35CiluYC-Zy_TkiYtkAXaApQrZNN9leBg9UCO"
    "yboBcSA"
)
PRIVATE_JWK = {
    "kty": "EC",
    "crv": "P-256",
    "x": "8OWZ1jCtcrY7nQjNf5Q5FJEQtJutmC6sQHvSTD5HI3o",
    "y": "OhBElBNjarEsBc5vJo3A9iiQ6hUmCWyT2YCrZ4r2QVA",
    "d": "X9fjNnz0lR932yYDbf1FvyHEdE3zTZ8oiUaTPqzpqEU",
}


def _believer(key: Any = SECRET, **keywords: Any) -> JWTAuthenticator:
    known: dict[str, Any] = {
        "algorithms": ["HS256"],
        "audience": "hubbub",
        "issuer": "https://issuer.example.com",
        "clock": lambda: NOW,
    }
    return JWTAuthenticator(key, **(known | keywords))


def _segment(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _signed(
    claims: object, header: object = None, key: str = SECRET, digest: str = "sha256"
) -> str:
    """A token as RFC 7515 makes it, without PyJWT, so that nothing keeps us from making bad ones."""
    head = {"alg": "HS256", "typ": "JWT"} if header is None else header
    text = f"{_segment(head)}.{_segment(claims)}"
    signature = hmac.digest(key.encode(), text.encode(), digest)
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _with(**changes: object) -> str:
    return _signed(CLAIMS | changes)


def _without(*names: str) -> str:
    return _signed({name: value for name, value in CLAIMS.items() if name not in names})


def _raw(text: str) -> str:
    """A token whose claims are this JSON, which need not be what `json` writes."""
    begin = json.dumps({name: value for name, value in CLAIMS.items() if name != "exp"})[:-1]
    return _signed(f"{begin}, {text}}}")


GOOD = _signed(CLAIMS)


def test_what_a_token_grants() -> None:
    """Name, patterns and expiry are those of the claims; an algorithm that is allowed has signed."""
    assert _believer()(GOOD) == ALICE
    assert _believer()(jwt.encode(CLAIMS, SECRET, algorithm="HS256")) == ALICE
    assert _believer()(_with(admin=True)) == Grant(
        user="alice", read=ALICE.read, write=ALICE.write, admin=True, until=NOW + 60
    )
    assert _believer()(_without("read", "write")) == Grant(user="alice", until=NOW + 60)
    both = _believer(OTHER + SECRET, algorithms=("HS512", "HS256"))
    assert both(_signed(CLAIMS, {"alg": "HS512"}, OTHER + SECRET, "sha512")) == ALICE
    assert both(_signed(CLAIMS, {"alg": "HS256"}, OTHER + SECRET)) == ALICE


def test_claims_may_have_other_names() -> None:
    """Issuers have claims of their own."""
    believer = _believer(
        user_claim="https://example.com/name",
        read_claim="may_read",
        write_claim="may_write",
        admin_claim="root",
    )
    names = ("https://example.com/name", "may_read", "may_write", "root")
    claims = dict(zip(names, ("bob", ["a"], ["b"], True), strict=True))
    assert believer(_signed(CLAIMS | claims)) == Grant(
        user="bob", read=("a",), write=("b",), admin=True, until=NOW + 60
    )
    assert believer(GOOD) is None


BAD = {
    # The signature.
    "no algorithm": f"{_segment({'alg': 'none'})}.{_segment(CLAIMS)}.",
    "none, signed all the same": _signed(CLAIMS, {"alg": "none"}),
    "None": _signed(CLAIMS, {"alg": "None"}),
    "none in capitals": _signed(CLAIMS, {"alg": "NONE"}),
    "an algorithm that is not allowed": _signed(CLAIMS, {"alg": "HS512"}, digest="sha512"),
    "another algorithm than it says": _signed(CLAIMS, {"alg": "HS256"}, digest="sha512"),
    "an algorithm with a public key": _signed(CLAIMS, {"alg": "RS256"}),
    "an unknown algorithm": _signed(CLAIMS, {"alg": "HS1"}),
    "an empty algorithm": _signed(CLAIMS, {"alg": ""}),
    "no alg": _signed(CLAIMS, {"typ": "JWT"}),
    "alg is a list": _signed(CLAIMS, {"alg": ["HS256"]}),
    "alg is null": _signed(CLAIMS, {"alg": None}),
    "another secret": _signed(CLAIMS, key=OTHER),
    "an empty secret": _signed(CLAIMS, key=""),
    "no signature": GOOD.rpartition(".")[0] + ".",
    "half a signature": GOOD[:-20],
    "other claims under the signature": ".".join(
        [GOOD.split(".")[0], _segment(CLAIMS | {"sub": "root"}), GOOD.split(".")[2]]
    ),
    "another header under the signature": ".".join(
        [_segment({"alg": "HS256"}), *GOOD.split(".")[1:]]
    ),
    # What a token says about keys and extensions.
    "brings its own key": _signed(
        CLAIMS,
        {"alg": "HS256", "jwk": {"kty": "oct", "k": _segment(OTHER)}},
        OTHER,
    ),
    "names a place for its key": _signed(
        CLAIMS, {"alg": "HS256", "jku": "https://evil.example.com/keys", "kid": "x"}, OTHER
    ),
    "demands an extension": _signed(CLAIMS, {"alg": "HS256", "crit": ["x"], "x": 1}),
    "demands nothing": _signed(CLAIMS, {"alg": "HS256", "crit": []}),
    "is detached": _signed(CLAIMS, {"alg": "HS256", "b64": False, "crit": ["b64"]}),
    "kid is a number": _signed(CLAIMS, {"alg": "HS256", "kid": 5}),
    # Time.
    "expired": _with(exp=NOW - 1),
    "expires now": _with(exp=NOW),
    "never expires": _without("exp"),
    "not yet valid": _with(nbf=NOW + 1),
    "exp is text": _with(exp=str(NOW + 60)),
    "exp is true": _with(exp=True),
    "exp is null": _with(exp=None),
    "exp is a list": _with(exp=[NOW + 60]),
    "exp is not a number": _raw('"exp": NaN'),
    "exp is infinite": _raw('"exp": Infinity'),
    "exp is beyond floats": _raw('"exp": 1' + "0" * 400),
    "exp is beyond integers": _raw('"exp": 1' + "0" * 5000),
    "exp twice": _raw(f'"exp": {NOW + 60}, "exp": {NOW - 60}'),
    "nbf is text": _with(nbf=str(NOW)),
    "nbf is null": _with(nbf=None),
    "nbf is true": _with(nbf=True),
    "iat is text": _with(iat="now"),
    "iat is a mapping": _with(iat={}),
    # For whom and from whom.
    "another audience": _with(aud="other"),
    "other audiences": _with(aud=["other", "hubbub2"]),
    "a part of the audience": _with(aud="hub"),
    "no audience": _without("aud"),
    "aud is empty": _with(aud=""),
    "aud is a number": _with(aud=5),
    "aud is a mapping": _with(aud={"hubbub": 1}),
    "aud holds a number": _with(aud=["hubbub", 5]),
    "another issuer": _with(iss="https://evil.example.com"),
    "a part of the issuer": _with(iss="https://issuer.example"),
    "no issuer": _without("iss"),
    "iss is a list": _with(iss=["https://issuer.example.com"]),
    "iss is null": _with(iss=None),
    # Who, and what.
    "nobody": _without("sub"),
    "sub is a number": _with(sub=5),
    "sub is null": _with(sub=None),
    "an empty name": _with(sub=""),
    "a long name": _with(sub="x" * 65),
    "a name that hides": _with(sub="ali\u202ece"),
    "a name with a line break": _with(sub="alice\nroot"),
    "a name with half a character": _with(sub="\ud800"),
    "read is text": _with(read="alerts.>"),
    "read is true": _with(read=True),
    "read is null": _with(read=None),
    "read is a mapping": _with(read={"alerts.>": True}),
    "read holds a number": _with(read=["alerts.>", 5]),
    "read holds a list": _with(read=[["alerts.>"]]),
    "read holds no pattern": _with(read=["alerts..x"]),
    "read holds half a character": _with(read=["\ud800"]),
    "write is text": _with(write=">"),
    "write holds no pattern": _with(write=["a b"]),
    "admin is text": _with(admin="false"),
    "admin is a number": _with(admin=1),
    "admin is null": _with(admin=None),
    "jti is a number": _with(jti=5),
    # What is no token.
    "empty": "",
    "two dots": "..",
    "a token of the hub": "hub_" + "x" * 43,
    "two parts": GOOD.rpartition(".")[0],
    "four parts": GOOD + ".x",
    "five parts, encrypted": "a.b.c.d.e",
    "padding": GOOD + "=",
    "white space": f" {GOOD}",
    "a line's end": f"{GOOD}\n",
    "Bearer": f"Bearer {GOOD}",
    "plain base64": GOOD.replace("_", "/").replace("-", "+") + "+",
    "beyond ASCII": GOOD[:-1] + "é",
    "a digit that is none": GOOD[:-1] + "٣",
    "a lone surrogate": GOOD[:-1] + "\ud800",
    "an odd length": "a.b.c",
    "claims are a list": _signed([CLAIMS]),
    "claims are null": _signed(None),
    "claims are no JSON": _signed("{"),
    "claims are empty": _signed({}),
    "claims are deep": _signed('{"a":' * 900 + "1" + "}" * 900),
    "claims are deeper": _signed("[" * 5000),
    "the header is a list": _signed(CLAIMS, ["HS256"]),
    "the header is no JSON": _signed(CLAIMS, "{"),
    "the header is deep": _signed(CLAIMS, '{"alg":' * 900 + "1" + "}" * 900),
    "the header is deeper": _signed(CLAIMS, "[" * 5000),
    "longer than allowed": _with(padding="x" * 8192),
    "huge": "a." * 5_000_000,
}


@pytest.mark.parametrize("token", BAD.values(), ids=list(BAD))
def test_what_is_not_believed(token: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each attack, mistake and oddity ends in None; nothing is raised and nothing is logged."""
    caplog.set_level(logging.DEBUG)
    assert _believer()(token) is None
    assert caplog.records == []


def test_a_length_that_is_allowed() -> None:
    """The limit is that of the hub, to the character."""
    token = _with(padding="x" * 1000)
    assert _believer(limits=HubLimits(max_token=len(token)))(token) == ALICE
    assert _believer(limits=HubLimits(max_token=len(token) - 1))(token) is None


def test_clocks_that_differ() -> None:
    """`leeway` counts at both ends, and the grant lasts as long as the token is believed."""
    late = _with(exp=NOW - 29.5)
    early = _with(nbf=NOW + 30)
    assert _believer()(_with(nbf=NOW)) == ALICE
    assert _believer()(_with(iat=NOW + 3600)) == ALICE
    assert _believer(leeway=30)(early) == Grant(
        user="alice", read=ALICE.read, write=ALICE.write, until=NOW + 90
    )
    grant = _believer(leeway=30)(late)
    assert grant is not None
    assert grant.until == NOW + 0.5
    assert _believer(leeway=29)(early) is None
    assert _believer(leeway=29)(late) is None


def test_tokens_that_never_expire() -> None:
    """They are believed only where that was asked for; one that says when is held to it."""
    believer = _believer(require_expiry=False)
    grant = believer(_without("exp"))
    assert grant is not None
    assert grant.until is None
    assert believer(GOOD) == ALICE
    assert believer(_with(exp=NOW)) is None
    assert believer(_with(exp=None)) is None


def test_several_audiences_and_issuers() -> None:
    """Any of ours will do, and any of the token's; where none is configured, none is expected."""
    believer = _believer(audience=["other", "hubbub"], issuer={"x", "https://issuer.example.com"})
    assert believer(GOOD) == ALICE
    assert believer(_with(aud=["x", "other"])) == ALICE
    assert believer(_with(iss="x")) == ALICE
    assert believer(_with(iss="y")) is None
    assert _believer(issuer=None)(_with(iss="anybody")) == ALICE
    assert _believer(issuer=None)(_without("iss")) == ALICE
    assert _believer(audience=None)(_without("aud")) == ALICE
    assert _believer(audience=None)(GOOD) is None


def test_keys_by_their_id() -> None:
    """A token names its key by `kid`, and only that one is tried."""
    believer = _believer({"old": OTHER, "new": SECRET})
    assert believer(_signed(CLAIMS, {"alg": "HS256", "kid": "new"})) == ALICE
    assert believer(_signed(CLAIMS, {"alg": "HS256", "kid": "old"}, OTHER)) == ALICE
    assert believer(_signed(CLAIMS, {"alg": "HS256", "kid": "old"})) is None
    assert believer(_signed(CLAIMS, {"alg": "HS256", "kid": "none"})) is None
    assert believer(_signed(CLAIMS, {"alg": "HS256", "kid": ["new"]})) is None
    assert believer(GOOD) is None
    assert _believer({"": SECRET})(GOOD) is None
    # A single key has no id, and whatever a token calls it does not matter.
    assert _believer()(_signed(CLAIMS, {"alg": "HS256", "kid": "../../dev/null"})) == ALICE


def test_a_key_as_jwk() -> None:
    """A JWK that PyJWT has read serves for its own algorithm and for no other."""
    key = jwt.PyJWK({"kty": "oct", "k": _segment(SECRET), "alg": "HS256"})
    assert _believer(key, algorithms=["HS256", "HS512"])(GOOD) == ALICE
    other = _signed(CLAIMS, {"alg": "HS512"}, digest="sha512")
    assert _believer(key, algorithms=["HS256", "HS512"])(other) is None
    with pytest.raises(ValueError, match="key: is for HS256, which is not allowed here"):
        _believer(key, algorithms=["HS512"])
    with pytest.raises(ValueError, match="key 'a': is for HS256"):
        _believer({"a": key}, algorithms=["RS256"])


def test_a_missing_package_is_told_at_once() -> None:
    """Who installed PyJWT alone hears of `cryptography` when the server starts, not from a token."""
    script = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from hubbub.transports.authenticators.jwt import JWTAuthenticator\n"
        f"JWTAuthenticator({RSA_KEY!r}, algorithms=['RS256'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        "ValueError: algorithms: 'RS256' needs the package cryptography; the extra server has it"
    )


@pytest.mark.parametrize(
    ("algorithm", "key", "token", "other"),
    [("RS256", RSA_KEY, RSA_TOKEN, EC_KEY), ("ES256", EC_KEY, EC_TOKEN, RSA_KEY)],
    ids=["RSA", "elliptic curve"],
)
def test_public_keys(algorithm: str, key: str, token: str, other: str) -> None:
    """What a private key has signed its public key believes, which is no secret for HS256 then."""
    plain: dict[str, Any] = {"audience": None, "issuer": None}
    alice = Grant(user="alice", read=("alerts.>",), until=NOW + 100)
    believer = _believer(key, algorithms=[algorithm], **plain)
    assert believer(token) == alice
    head, body, signature = token.split(".")
    assert believer(f"{head}.{_segment(CLAIMS)}.{signature}") is None
    claims = {"sub": "alice", "exp": NOW + 100}
    for secret in (key, key.strip(), key.replace("\n", "")):
        assert believer(_signed(claims, {"alg": "HS256"}, secret)) is None
        assert believer(_signed(claims, {"alg": algorithm}, secret)) is None
    assert believer(f"{_segment({'alg': 'none'})}.{body}.{signature}") is None
    two = _believer({"a": RSA_KEY, "b": EC_KEY}, algorithms=["RS256", "ES256"], **plain)
    assert two(token) is None
    assert _believer(key.encode(), algorithms=["RS256", "ES256"], **plain)(token) == alice
    with pytest.raises(ValueError, match="is no public key in PEM form"):
        _believer(other, algorithms=[algorithm])
    with pytest.raises(ValueError, match="is no public key in PEM form"):
        _believer(SECRET, algorithms=[algorithm])
    with pytest.raises(ValueError, match="has 1024 bits, and needs 2048 at least"):
        _believer(SHORT_RSA_KEY, algorithms=["RS256"])
    with pytest.raises(ValueError, match="key: is private; give its public key"):
        _believer(jwt.PyJWK(PRIVATE_JWK), algorithms=["ES256"])


@pytest.mark.parametrize(
    ("key", "keywords", "words"),
    [
        (SECRET, {"algorithms": []}, "algorithms: name at least one"),
        (SECRET, {"algorithms": "HS256"}, r"write a list, \['HS256'\]"),
        (SECRET, {"algorithms": ["none"]}, "'none' lets anybody write tokens"),
        (SECRET, {"algorithms": ["HS256", "None"]}, "'None' lets anybody write tokens"),
        (SECRET, {"algorithms": ["hs256"]}, "'hs256' is none of HS256, "),
        (SECRET, {"algorithms": ["HS256", "RS256"]}, "make two authenticators"),
        (RSA_KEY, {"algorithms": ["ES256", "HS256"]}, "make two authenticators"),
        (RSA_KEY, {}, "key: is no secret but a public or private key"),
        (f"\n{EC_KEY}", {}, "key: is no secret"),
        (RSA_KEY.encode(), {}, "key: is no secret"),
        ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ== ann@example.com", {}, "key: is no secret"),
        ({"a": SECRET, "b": EC_KEY}, {}, "key 'b': is no secret"),
        (RSA_KEY.replace("PUBLIC", "PRIVATE"), {"algorithms": ["RS256"]}, "give its public key"),
        (json.dumps({"kty": "oct", "k": "x" * 43}), {}, "key: .*JWK"),
        ({"kty": "oct", "k": "x" * 43}, {}, "is a JWK as JSON"),
        ("x" * 31, {}, "has 31 bytes, and .* need 32 at least"),
        ("x" * 63, {"algorithms": ["HS256", "HS512"]}, "has 63 bytes, and .* need 64 at least"),
        ("", {}, "has 0 bytes"),
        ({}, {}, "give at least one key"),
        (5, {}, "must be a secret"),
        (SECRET, {"leeway": -1}, "leeway=-1: must be"),
        (SECRET, {"leeway": float("inf")}, "leeway=inf: must be"),
        (SECRET, {"leeway": float("nan")}, "leeway=nan: must be"),
        (SECRET, {"audience": ""}, "audience='': give a text"),
        (SECRET, {"audience": []}, r"audience=\[\]: give a text"),
        (SECRET, {"issuer": ["x", ""]}, "issuer=.*: give a text"),
    ],
)
def test_mistakes_are_told_at_once(key: Any, keywords: dict[str, Any], words: str) -> None:
    """What cannot work, or would be unsafe, is refused when it is made, without showing a key."""
    with pytest.raises(ValueError, match=words) as raised:
        _believer(key, **keywords)
    secrets = [key] if isinstance(key, str) and key else []
    assert not any(secret in str(raised.value) for secret in secrets)


def test_a_key_is_not_shown() -> None:
    """An authenticator may be logged."""
    assert repr(_believer()) == "JWTAuthenticator(algorithms=['HS256'])"


@given(st.text(st.characters(codec=None, categories=None), max_size=80))
def test_no_text_raises(token: str) -> None:
    """Whatever a peer sends, the answer is None."""
    believer = _believer()
    assert believer(token) is None
    assert believer(".".join([*GOOD.split(".")[:2], token])) is None
    assert believer(".".join([token, *GOOD.split(".")[1:]])) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.sampled_from([*CLAIMS, "nbf", "iat", "jti", "admin", "x"])
HEADER_NAMES = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jku", "jwk", "x5u", "zip"])


@given(
    st.dictionaries(NAMES, JSON, max_size=4),
    st.dictionaries(HEADER_NAMES, JSON, max_size=2),
    JSON,
    st.booleans(),
)
def test_no_claim_raises(
    claims: dict[str, object], header: dict[str, object], other: object, by_id: bool
) -> None:
    """Whatever a right signature stands under, the answer is None or a grant to somebody, for a time."""
    believer = _believer({"a": SECRET} if by_id else SECRET)
    head = {"alg": "HS256", "kid": "a"} | header
    for token in (_signed(CLAIMS | claims, head), _signed(other, head), _signed(CLAIMS, other)):
        grant = believer(token)
        assert grant is None or (grant.user and grant.until is not None and grant.until > NOW)
