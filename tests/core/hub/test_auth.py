"""Tokens and names."""

import hmac
import unicodedata

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubbub.core.auth import (
    AnonymousAccess,
    External,
    TokenAuth,
    TokenEntry,
    check_name,
    hash_token,
    name_key,
    new_token,
)
from hubbub.core.grants import Grant
from hubbub.core.hub_limits import HubLimits
from hubbub.transports.simulated import seeded_entropy

TOKEN = new_token(seeded_entropy(1))
LIMITS = HubLimits()
NOW = 1_800_000_000.0

# Whatever a peer's JSON may become, lone surrogates included.
ANY_TEXT = st.text(st.characters(codec=None, categories=None), max_size=60)


def _entry(token: str = TOKEN, user: str = "alice", until: float | None = None) -> TokenEntry:
    return TokenEntry(hash=hash_token(token), user=user, read=("alerts.>",), until=until)


# Tokens.


def test_a_token_is_made_of_256_bits() -> None:
    """32 bytes of entropy are asked for, and none of them is lost in the text."""
    asked: list[int] = []

    def entropy(size: int) -> bytes:
        asked.append(size)
        return bytes(range(size))

    assert new_token(entropy) == "hub_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert asked == [32]
    with pytest.raises(ValueError, match=r"entropy\(32\) gave 31 bytes"):
        new_token(lambda size: bytes(size - 1))


def test_the_hash_is_sha_256() -> None:
    """The example of FIPS 180-4, so that any tool can make the hash of a token."""
    digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_token("abc") == f"sha256:{digits}"


@given(ANY_TEXT, ANY_TEXT)
@example("\ud83d\ude00", "\U0001f600")
@example("\ud800", "?")
def test_different_texts_have_different_hashes(one: str, other: str) -> None:
    """Every text has a hash, and what is not well-formed is not taken for something that is."""
    assert (hash_token(one) == hash_token(other)) is (one == other)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hash": TOKEN}, "hash: must be 'sha256:'"),
        ({"hash": hash_token(TOKEN).upper()}, "hash: must be 'sha256:'"),
        ({"hash": hash_token(TOKEN) + "\n"}, "hash: must be 'sha256:'"),
        ({"hash": hash_token("")}, "hash: is that of an empty token"),
        ({"user": ""}, "user: a name"),
        ({"user": "a\u202eb"}, "user: a name"),
        ({"read": "alerts.>"}, "read: must be a tuple"),
        ({"read": ("alerts.>", "a..b")}, "read: "),
        ({"write": ("a b",)}, "write: "),
        ({"until": 0.0}, "until=0.0: must be in seconds"),
        ({"until": float("nan")}, "until=nan"),
        ({"until": float("inf")}, "until=inf.*left out"),
        ({"until": NOW * 1000}, "until=.*in seconds since 1970"),
    ],
)
def test_an_entry_that_cannot_work_is_told(fields: dict[str, object], words: str) -> None:
    """The message names the field and says what can; it never shows what may be a token."""
    given_fields: dict[str, object] = {"hash": hash_token(TOKEN), "user": "alice"}
    with pytest.raises(ValueError, match=words) as raised:
        TokenEntry(**(given_fields | fields))  # type: ignore[arg-type]
    assert TOKEN not in str(raised.value)


def test_an_entry_is_read_from_settings() -> None:
    """msgspec makes entries from a mapping, checks types and values, and knows no other fields."""
    settings = {"hash": hash_token(TOKEN), "user": "alice", "read": ["alerts.>"], "until": NOW}
    entry = msgspec.convert(settings, TokenEntry)
    assert entry.grant == Grant(user="alice", read=("alerts.>",), until=NOW)
    for wrong in ({"admin": 1}, {"token": TOKEN}, {"hash": TOKEN}):
        with pytest.raises(msgspec.ValidationError) as raised:
            msgspec.convert(settings | wrong, TokenEntry)
        assert TOKEN not in str(raised.value)


def test_who_has_a_token_is_known() -> None:
    """Each token gives its own grant; several may be one user's."""
    auth = TokenAuth([_entry(), _entry("second"), _entry("third", user="bob")])
    assert auth.authenticate(TOKEN, NOW) == Grant(user="alice", read=("alerts.>",))
    assert [
        grant.user for each in ("second", "third") if (grant := auth.authenticate(each, NOW))
    ] == [
        "alice",
        "bob",
    ]
    assert len(auth) == 3
    assert TokenAuth().authenticate(TOKEN, NOW) is None


def test_a_token_ends() -> None:
    """From its last moment on a token is refused, and its grant says when that is."""
    auth = TokenAuth([_entry(until=NOW)])
    grant = auth.authenticate(TOKEN, NOW - 0.001)
    assert grant is not None
    assert grant.until == NOW
    assert auth.authenticate(TOKEN, NOW) is None


def test_one_token_has_one_entry() -> None:
    """Of two entries with one hash nobody knows which one counts, so both are named at once."""
    with pytest.raises(ValueError, match="'alice' and 'bob' have the same token"):
        TokenAuth([_entry(), _entry(user="bob")])


def test_plain_tokens_are_hashed_at_once() -> None:
    """Given as they are, for tests and examples, tokens are neither refused nor kept."""
    auth = TokenAuth.of_plain({TOKEN: Grant(user="alice"), "1": Grant(user="bob", until=NOW)})
    assert auth.authenticate(TOKEN, NOW) == Grant(user="alice")
    assert auth.authenticate("1", NOW) is None
    assert auth.authenticate("1", NOW - 1) == Grant(user="bob", until=NOW)
    assert TOKEN not in repr((auth._known, auth._rows))
    assert repr(auth) == "TokenAuth(2 tokens)"


WRONG = {
    "unknown": "hub_" + "x" * 43,
    "nearly right": TOKEN[:-1] + "!",
    "only its beginning": TOKEN[:40],
    "longer": TOKEN + "x",
    "expired": "expired",
    "empty": "",
    "not ASCII": "péché",
    "a lone surrogate": "\ud800",
    "control characters": "\x00\r\n",
    "a hash": hash_token(TOKEN),
    "as long as allowed": "x" * LIMITS.max_token,
}


class _Compared:
    """A comparison that counts."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int, bool]] = []

    def __call__(self, one: bytes, other: bytes) -> bool:
        equal = hmac.compare_digest(one, other)
        self.calls.append((len(one), len(other), equal))
        return equal


ENTRIES = [_entry(f"token {n}", user=f"user {n}") for n in range(100)]


@pytest.mark.parametrize("token", WRONG.values(), ids=list(WRONG))
def test_every_wrong_token_costs_the_same(token: str) -> None:
    """Unknown, expired or malformed: as many comparisons of whole hashes as for a right token."""
    compared = _Compared()
    auth = TokenAuth([*ENTRIES, _entry(), _entry("expired", until=NOW)], compare=compared)
    assert auth.authenticate(TOKEN, NOW) is not None
    right = [call[:2] for call in compared.calls]
    assert right == [(32, 32)] * len(right)
    assert 1 < len(right) < 20  # however many tokens there are
    compared.calls.clear()
    assert auth.authenticate(token, NOW) is None
    assert [call[:2] for call in compared.calls] == right
    assert sum(equal for *_, equal in compared.calls) == (token == "expired")


@given(st.lists(st.text(max_size=3), unique=True, max_size=20), ANY_TEXT)
def test_however_many_tokens_there_are(tokens: list[str], other: str) -> None:
    """Each is known and no other, all with the same number of comparisons, and nothing raises."""
    compared = _Compared()
    auth = TokenAuth.of_plain({token: Grant(user=token) for token in tokens}, compare=compared)
    costs: set[int] = set()
    for token in [*tokens, other]:
        compared.calls.clear()
        grant = auth.authenticate(token, NOW)
        assert grant == (Grant(user=token) if token in tokens else None)
        costs.add(len(compared.calls))
    assert len(costs) == 1


def test_names_of_users_are_reserved() -> None:
    """Whose name stands at a token has it alone, however it is written, also when the token ended."""
    auth = TokenAuth([_entry(until=1.0), _entry("second", user="Bob")])
    assert [auth.reserves(name) for name in ("Alice", "ＢＯＢ", "carl", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert TokenAuth.of_plain({TOKEN: Grant(user="Ann")}).reserves("ann")


def test_no_comparison_lets_nobody_in() -> None:
    """An unknown token is refused even where a comparison says yes to all."""
    auth = TokenAuth([_entry()], compare=lambda one, other: True)
    assert auth.authenticate("x", NOW) is None


def test_the_comparison_decides() -> None:
    """A token whose hash is found is refused all the same where the comparison says no."""
    auth = TokenAuth([_entry()], compare=lambda one, other: False)
    assert auth.authenticate(TOKEN, NOW) is None


def test_external_says_only_that() -> None:
    """That others decide about tokens is a value without fields."""
    assert External() == External()
    assert External.__struct_fields__ == ()


# Names.


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "Ann",
        "Ann B. Smith",
        "O'Neil-1",
        "José",
        "Ольга",
        "たろう",
        "שרה",
        "عائشة",
        "👩 Ann",
        "x" * 64,
    ],
)
def test_a_name(name: str) -> None:
    """Names in any script are names."""
    check_name(name, LIMITS)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "1 to 64 characters"),
        ("x" * 65, "1 to 64 characters"),
        (" ann", "single spaces"),
        ("ann ", "single spaces"),
        ("an  n", "single spaces"),
        (" ", "single spaces"),
        ("an\tn", "invisible"),
        ("an\nn", "invisible"),
        ("ann\x00", "invisible"),
        ("ann\x1b[31m", "invisible"),
        ("ann\x85", "invisible"),
        ("ann\xa0b", "invisible"),
        ("ann\u2003b", "invisible"),
        ("ann\xadb", "invisible"),
        ("ann\u200b", "invisible"),
        ("ann\u200d", "invisible"),
        ("\u202enna", "invisible"),
        ("ann\u2066", "invisible"),
        ("ann\u2028b", "invisible"),
        ("ann\ufeff", "invisible"),
        ("ann\u3164", "invisible"),
        ("ann\uffa0", "invisible"),
        ("ann\u2800", "invisible"),
        ("ann\ufe0f", "invisible"),
        ("ann\u034f", "invisible"),
        ("ann\U000e0100", "invisible"),
        ("ann\U000e0041", "invisible"),
        ("ann\ud800", "invisible"),
        ("ann\ue000", "invisible"),
        ("ann\uffff", "invisible"),
        ("\u0301ann", "combining mark"),
        ("ann \u0301b", "combining mark"),
        ("Jose\u0301", "NFC"),
    ],
    ids=ascii,
)
def test_what_is_no_name(name: str, words: str) -> None:
    """The message says why, and does not repeat what may be hostile text."""
    with pytest.raises(ValueError, match=words) as raised:
        check_name(name, LIMITS)
    assert str(raised.value).isascii()


def test_how_long_a_name_is() -> None:
    """The bound is that of the limits."""
    check_name("ann", HubLimits(max_name=3))
    with pytest.raises(ValueError, match="1 to 3 characters"):
        check_name("anna", HubLimits(max_name=3))


@given(ANY_TEXT)
def test_any_name_that_is_allowed(name: str) -> None:
    """What is allowed can be seen, has one spelling, and is safe in a log line; the rest is told."""
    try:
        check_name(name, LIMITS)
    except ValueError:
        return
    assert name == " ".join(name.split())
    assert name.isprintable()
    assert name == unicodedata.normalize("NFC", name)
    assert name.encode()
    assert name_key(name)


@given(ANY_TEXT)
def test_a_key_is_its_own(name: str) -> None:
    """The key of a key is that key, whatever the text, and its form of writing does not matter."""
    key = name_key(name)
    assert name_key(key) == key
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert name_key(unicodedata.normalize(form, name)) == key


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann", "ann", True),
        ("Ann", "ＡＮＮ", True),
        ("Straße", "STRASSE", True),
        ("José", "Jose\u0301", True),
        ("ﬁn", "fin", True),
        ("℡", "tel", True),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", True),
        ("Jose", "José", False),
        ("ann", "an n", False),
        ("ann", "аnn", False),
    ],
)
def test_which_names_are_one(one: str, other: str, same: bool) -> None:
    """Case and ways to write a letter make no other person; accents and other scripts do."""
    assert (name_key(one) == name_key(other)) is same


def test_anonymous_access() -> None:
    """Without credentials one may do what is configured, all by default, and nobody vouches."""
    assert AnonymousAccess().grant("ann") == Grant(
        user="ann", read=(">",), write=(">",), anonymous=True
    )
    access = AnonymousAccess(read=("room.*",), write=())
    grant = access.grant("ann")
    assert grant.may_read("room.lobby")
    assert not grant.may_write("room.lobby")
    assert not grant.admin
    with pytest.raises(ValueError, match="write: "):
        AnonymousAccess(write=("a..b",))
    with pytest.raises(ValueError, match="read: must be a tuple"):
        AnonymousAccess(read="room.>")  # type: ignore[arg-type]
