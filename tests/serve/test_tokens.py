"""Access tokens: what is ours is accepted, and each known attack is not."""

import base64
import hashlib
import hmac
import json
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jose import jws

from serve.errors import TokenError
from serve.tokens import AUDIENCE, ISSUER, LEEWAY_S, LIFETIME_S, Key, TokenKeys, issue, verify

NOW = 1_760_000_000
ROOT = Path(__file__).parents[2]


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path / "token-keys.json")


def part(document: Any) -> str:
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def signed(keys: TokenKeys, header: Any = None, claims: Any = None, secret: bytes | None = None) -> str:
    """A token signed with our own key, whatever it says: only the checks can refuse it."""
    key = keys.signing()
    head = {"alg": "HS256", "typ": "at+jwt", "kid": key.kid} if header is None else header
    if isinstance(head, dict) and head.get("kid") is ...:
        head = {**head, "kid": key.kid}
    body = f"{part(head)}.{part(good() if claims is None else claims)}"
    mac = hmac.new(key.secret if secret is None else secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def good(**changed: Any) -> dict[str, Any]:
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "7", "sid": "s1", "jti": "j1", "iat": NOW, "nbf": NOW,
        "exp": NOW + LIFETIME_S,
    }  # fmt: skip
    return {name: value for name, value in {**claims, **changed}.items() if value is not None}


def test_what_is_issued_is_accepted_until_it_expires(keys: TokenKeys) -> None:
    token = issue(keys, "7", "s1", NOW)
    found = verify(keys, token, NOW)
    assert (found.subject, found.session, found.expires_s) == ("7", "s1", NOW + LIFETIME_S)
    assert verify(keys, token, NOW + LIFETIME_S + LEEWAY_S - 1) == found
    for at in (NOW + LIFETIME_S + LEEWAY_S, NOW - LEEWAY_S - 1):
        with pytest.raises(TokenError):
            verify(keys, token, at)
    assert verify(keys, signed(keys), NOW).subject == "7"  # the helper below makes good tokens, too


HEADERS = {
    "no algorithm": {"typ": "at+jwt", "kid": ...},
    "algorithm none": {"alg": "none", "typ": "at+jwt", "kid": ...},
    "algorithm None in other letters": {"alg": "nOnE", "typ": "at+jwt", "kid": ...},
    "another HMAC": {"alg": "HS512", "typ": "at+jwt", "kid": ...},
    "a public key algorithm": {"alg": "RS256", "typ": "at+jwt", "kid": ...},
    "an algorithm that is a list": {"alg": ["HS256"], "typ": "at+jwt", "kid": ...},
    "another type": {"alg": "HS256", "typ": "JWT", "kid": ...},
    "no type": {"alg": "HS256", "kid": ...},
    "a critical extension": {"alg": "HS256", "typ": "at+jwt", "kid": ..., "crit": ["b64"], "b64": False},
    "an unknown critical extension": {"alg": "HS256", "typ": "at+jwt", "kid": ..., "crit": ["x"], "x": 1},
    "a key in the token": {"alg": "HS256", "typ": "at+jwt", "kid": ..., "jwk": {"kty": "oct", "k": "AA"}},
    "a key elsewhere": {"alg": "HS256", "typ": "at+jwt", "kid": ..., "jku": "https://evil.example/keys"},
    "a certificate elsewhere": {"alg": "HS256", "typ": "at+jwt", "kid": ..., "x5u": "https://evil.example"},
    "compression": {"alg": "HS256", "typ": "at+jwt", "kid": ..., "zip": "DEF"},
    "an encrypted token": {"alg": "dir", "enc": "A256GCM", "typ": "at+jwt", "kid": ...},
    "no key": {"alg": "HS256", "typ": "at+jwt"},
    "an unknown key": {"alg": "HS256", "typ": "at+jwt", "kid": "0000"},
    "a key that is a path": {"alg": "HS256", "typ": "at+jwt", "kid": "../../dev/null"},
    "a key that is a query": {"alg": "HS256", "typ": "at+jwt", "kid": "' OR 1=1 --"},
    "a key that is a number": {"alg": "HS256", "typ": "at+jwt", "kid": 1},
    "a header that is a list": ["HS256"],
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_not_exactly_ours_is_refused(keys: TokenKeys, name: str) -> None:
    with pytest.raises(TokenError):
        verify(keys, signed(keys, header=HEADERS[name]), NOW)


CLAIMS = {
    **{f"no {name}": good(**{name: None}) for name in good()},
    **{f"an empty {name}": good(**{name: ""}) for name in good()},
    "another issuer": good(iss="evil"),
    "another audience": good(aud="other-api"),
    "several audiences": good(aud=[AUDIENCE, "other-api"]),
    "a subject that is a number": good(sub=7),
    "an end that is text": good(exp=str(NOW + 60)),
    "an end that is true": good(exp=True),
    "an end that is a fraction": good(exp=NOW + 60.5),
    "an end without end": good(exp=2**63),
    "a long life": good(exp=NOW + LIFETIME_S + 1),
    "the past": good(iat=NOW - 9_000, nbf=NOW - 9_000, exp=NOW - 8_400),
    "the future": good(iat=NOW + 9_000, nbf=NOW + 9_000, exp=NOW + 9_600),
    "claims that are a list": [good()],
}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_that_are_not_exactly_ours_are_refused(keys: TokenKeys, name: str) -> None:
    with pytest.raises(TokenError):
        verify(keys, signed(keys, claims=CLAIMS[name]), NOW)


def test_a_name_that_stands_twice_is_refused(keys: TokenKeys) -> None:
    kid = keys.signing().kid
    twice = f'{{"alg":"none","alg":"HS256","typ":"at+jwt","kid":"{kid}"}}'.encode()
    with pytest.raises(TokenError):
        verify(keys, signed(keys, header=twice), NOW)
    body = json.dumps(good())[:-1] + ', "sub": "1"}'
    with pytest.raises(TokenError):
        verify(keys, signed(keys, claims=body.encode()), NOW)


def test_another_signature_is_refused(keys: TokenKeys, tmp_path: Path) -> None:
    token = issue(keys, "7", "s1", NOW)
    head, body, mac = token.split(".")
    other = part(good(sub="1"))
    elsewhere = issue(TokenKeys(tmp_path / "other" / "token-keys.json"), "7", "s1", NOW)
    for forged in (
        f"{head}.{body}.", f"{head}.{other}.{mac}", f"{head}.{body}.{mac[:-2]}", f"{head}.{body}", f"{token}.x",
        f"{head}.{body}.{mac}=", f" {token}", f"{token}\n", "", ".", "..", "...", "a.b.c", "é.é.é", elsewhere,
        signed(keys, secret=b""), signed(keys, secret=b"\0" * 32),
    ):  # fmt: skip
        if forged == f"{head}.{body}.{mac}=":
            continue  # padding: refused or the same bytes, see the next test
        with pytest.raises(TokenError):
            verify(keys, forged, NOW)


def test_a_public_key_is_no_secret_of_ours(keys: TokenKeys) -> None:
    """Key confusion (CVE-2024-33663 and its DER variant): the verifier never takes a key or algorithm from outside."""
    public = b"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----\n"
    with pytest.raises(TokenError):
        verify(keys, signed(keys, secret=public), NOW)


def test_a_token_that_is_too_long_is_not_even_read(keys: TokenKeys) -> None:
    """A bomb (CVE-2024-33664): no decompression, a bound on length, and on depth."""
    with pytest.raises(TokenError):
        verify(keys, signed(keys, claims=good(jti="x" * 4_000)), NOW)
    with pytest.raises(TokenError):
        verify(keys, signed(keys, claims=b"[" * 1_000), NOW)


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
def test_no_text_is_a_token(keys: TokenKeys, text: str) -> None:
    with pytest.raises(TokenError):
        verify(keys, text, NOW)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
def test_one_changed_character_is_refused_or_changes_nothing(keys: TokenKeys, data: st.DataObject) -> None:
    token = issue(keys, "7", "s1", NOW)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("ABCXYZabcxyz0189-_.=+/ "))
    forged = token[:at] + other + token[at + 1 :]
    try:
        found = verify(keys, forged, NOW)
    except TokenError:
        return
    assert found == verify(keys, token, NOW)


def test_whoever_sent_it_is_not_told_which_check_failed(keys: TokenKeys) -> None:
    with pytest.raises(TokenError) as told:
        verify(keys, signed(keys, claims=good(aud="other-api")), NOW)
    assert str(told.value) == "the access token is not accepted; log in again"
    assert "somebody else" in told.value.reason


def test_a_new_key_signs_and_the_one_before_still_counts(keys: TokenKeys) -> None:
    first = issue(keys, "7", "s1", NOW)
    keys.rotate()
    second = issue(keys, "7", "s1", NOW)
    assert verify(keys, first, NOW).subject == verify(keys, second, NOW).subject == "7"
    keys.rotate()
    assert verify(keys, second, NOW).subject == "7"
    with pytest.raises(TokenError):
        verify(keys, first, NOW)


def test_another_process_sees_a_rotation(keys: TokenKeys, tmp_path: Path) -> None:
    here = TokenKeys(tmp_path / "token-keys.json")
    token = issue(here, "7", "s1", NOW)
    keys.rotate()
    keys.rotate()
    with pytest.raises(TokenError):
        verify(here, token, NOW)
    assert verify(here, issue(keys, "7", "s1", NOW), NOW).session == "s1"


def test_the_file_is_its_owners_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "token-keys.json"
    with ThreadPoolExecutor(8) as pool:
        kids = {
            each.result() for each in [pool.submit(lambda: TokenKeys(path).signing().kid) for _ in range(16)]
        }
    assert len(kids) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(TokenKeys(path).signing().secret) >= 32


def test_a_short_key_is_refused_and_none_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        Key("a", b"1234")
    assert "secret" not in repr(Key("a", b"0" * 32))
    path = tmp_path / "token-keys.json"
    path.write_text(json.dumps({"keys": [{"kid": "a", "secret": base64.b64encode(b"1234").decode()}]}))
    with pytest.raises(ValueError, match="at least 32 bytes"):
        TokenKeys(path).signing()


def test_the_library_is_imported_nowhere_else() -> None:
    found = subprocess.run(
        ["git", "grep", "-lE", r"^\s*(import|from) jose", "--", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert set(found) <= {"serve/tokens.py", "tests/serve/test_tokens.py"}
    assert sys.modules["jose"]
    assert jws.sign({}, b"0" * 32, algorithm="HS256")  # the library itself takes what the checks above refuse
