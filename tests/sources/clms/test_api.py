"""Credentials, tokens and the calls of the CLMS API, against the stand-in of the portal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pydantic import SecretStr

from stacbuild.errors import AuthError, NotFoundError, RemoteError
from stacbuild.net.http import session
from stacbuild.sources.clms.api import ClmsApi
from stacbuild.sources.clms.auth import Credentials, Token, read_credentials
from tests.standins.clms import ClmsServer, Product
from tests.support.clms import FILE, SLUG, asked, product, two_tiles

CANARY = "canary-in-the-key"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def forest(tmp_path: Path) -> Product:
    return product(two_tiles(tmp_path / "delivery.zip"))


@pytest.fixture
def server(forest: Product) -> Iterator[ClmsServer]:
    with ClmsServer(forest) as running:
        yield running


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with session(tries=2, backoff=0.01) as made:
        yield made


@pytest.fixture
def credentials(server: ClmsServer, tmp_path: Path) -> Path:
    return server.write_credentials(tmp_path / "clms-credentials.json")


@pytest.fixture
def api(server: ClmsServer, http: requests.Session, credentials: Path) -> ClmsApi:
    return ClmsApi(server.api, http, lambda: read_credentials(credentials))


# --- credentials ---


@pytest.mark.parametrize("field", ["client_id", "user_id", "private_key", "token_uri"])
def test_a_missing_field_is_named_and_no_value_is(credentials: Path, field: str) -> None:
    content = json.loads(credentials.read_text())
    del content[field]
    credentials.write_text(json.dumps(content))
    with pytest.raises(AuthError) as caught:
        read_credentials(credentials)
    message = str(caught.value)
    assert message.startswith(f"{credentials}: {field}: missing")
    assert not any(value and str(value) in message for value in content.values())


@pytest.mark.parametrize("text", [f'{{"private_key": "{CANARY}",', f'["{CANARY}"]'])
def test_a_file_that_is_no_json_object_is_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(text)
    with pytest.raises(AuthError, match="JSON") as caught:
        read_credentials(path)
    assert str(path) in str(caught.value)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_no_credentials_at_all(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match=r"store_params\.credentials"):
        read_credentials(None)
    with pytest.raises(AuthError, match=r"none\.json: cannot be read"):
        read_credentials(tmp_path / "none.json")


def test_credentials_may_stand_in_the_configuration(server: ClmsServer) -> None:
    inline = {key: SecretStr(str(value)) for key, value in server.credentials().items()}
    read = read_credentials(None, inline)
    assert read.token_uri == server.token_uri
    assert "PRIVATE KEY" not in repr(read)


# --- tokens ---


def test_a_text_that_is_no_key_is_not_quoted(server: ClmsServer, http: requests.Session) -> None:
    inline = server.credentials() | {"private_key": CANARY}
    with pytest.raises(AuthError, match="private_key: is not an RSA key") as caught:
        Token(lambda: read_credentials(None, inline), http).header()
    assert CANARY not in str(caught.value)
    assert server.requests == 0


def test_a_token_is_used_until_shortly_before_its_end(
    server: ClmsServer, http: requests.Session, credentials: Path
) -> None:
    start = time.time()
    now = [start]
    token = Token(lambda: read_credentials(credentials), http, clock=lambda: now[0])
    first = token.header()
    now[0] = start + 3500
    assert token.header() == first
    now[0] = start + 3541  # the clock's own skew is not what is tested: the next is refused
    with pytest.raises(AuthError, match=r"clock is \+59 min"):
        token.header()
    assert asked(server, "oauth2-token") == 2


def test_the_key_of_another_is_refused(
    server: ClmsServer, http: requests.Session, credentials: Path
) -> None:
    with ClmsServer() as elsewhere:
        other = elsewhere.credentials()["private_key"]
    content = json.loads(credentials.read_text()) | {"private_key": other}
    credentials.write_text(json.dumps(content))
    api = ClmsApi(server.api, http, lambda: read_credentials(credentials))
    with pytest.raises(AuthError) as caught:
        api.request("a", "b")
    message = str(caught.value)
    assert str(credentials) in message
    assert server.token_uri in message
    assert "HTTP 400" in message
    assert "clock" not in message
    assert not set(other.splitlines()) & set(message.split())


def test_a_token_that_ends_early_is_renewed_once(api: ClmsApi, server: ClmsServer) -> None:
    task = api.request(server.products[11].uid, server.products[11].file_id(FILE))
    server.expire_tokens()
    assert api.status(task).status == "Queued"
    assert asked(server, "oauth2-token") == 2
    server.fail("@datarequest_status_get", status=401, times=-1)
    with pytest.raises(AuthError, match="refused a new token") as caught:
        api.status(task)
    assert "PRIVATE" not in str(caught.value)
    assert asked(server, "oauth2-token") == 3


def test_a_token_server_in_trouble_is_no_matter_of_credentials(
    api: ClmsApi, server: ClmsServer
) -> None:
    server.fail("oauth2-token", status=500, times=-1)
    with pytest.raises(RemoteError, match="HTML"):
        api.request("a", "b")
    server.reset()
    server.fail("oauth2-token", body=b"{}", headers=JSON)
    with pytest.raises(RemoteError, match="no access_token"):
        api.request("a", "b")


def test_credentials_do_not_print(server: ClmsServer, http: requests.Session) -> None:
    read = read_credentials(None, server.credentials())
    assert isinstance(read, Credentials)
    token = Token(lambda: read, http)
    value = token.header()["Authorization"].removeprefix("Bearer ")
    assert value not in repr(token) + repr(vars(token))


# --- calls ---


def test_a_search_reads_pages_until_all_are_found_and_needs_no_token(
    api: ClmsApi, server: ClmsServer
) -> None:
    found = api.search({SLUG})
    assert found[SLUG]["UID"] == server.products[11].uid
    assert found[SLUG]["temporalExtentStart"] == "2015-01-01"
    assert asked(server, "@search") == 1
    last = server.products[-1].slug
    assert {SLUG, last} <= set(api.search({SLUG, last}))
    assert asked(server, "@search") == 1 + -(-len(server.products) // 25)
    assert not any(entry.authorized for entry in server.log)


def test_a_product_that_is_not_there_leaves_all_others(api: ClmsApi, server: ClmsServer) -> None:
    assert set(api.search({"no-such-product"})) == {each.slug for each in server.products}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"items": 1}', "no items"),
        (b"[]", "no items"),
        (b"no", "not JSON"),
        (b"<html>", "an HTML page"),
    ],
)
def test_what_is_no_page_of_a_search_is_refused(
    api: ClmsApi, server: ClmsServer, body: bytes, says: str
) -> None:
    server.fail("@search", body=body, headers=JSON)
    with pytest.raises(RemoteError, match=says):
        api.search({SLUG})


def test_pages_in_a_circle_end(api: ClmsApi, server: ClmsServer) -> None:
    page = {"items": [], "batching": {"next": f"{server.api}/@search?b_start=25"}}
    server.fail("@search", body=json.dumps(page).encode(), headers=JSON, times=-1)
    with pytest.raises(RemoteError, match="form a loop"):
        api.search({SLUG})


def test_a_refusal_says_what_the_portal_says(api: ClmsApi, forest: Product) -> None:
    with pytest.raises(RemoteError, match="the DatasetID or the FileID is not valid"):
        api.request(forest.uid, "no-such-file")


def test_a_task_under_way_is_taken_over(api: ClmsApi, server: ClmsServer, forest: Product) -> None:
    server.script = ("Queued",)
    first = api.request(forest.uid, forest.file_id(FILE))
    assert api.request(forest.uid, forest.file_id(FILE)) == first
    assert server.posts == 1
    assert asked(server, "@datarequest_post") == 1


def test_a_refused_duplicate_leads_to_the_task(
    api: ClmsApi, server: ClmsServer, forest: Product
) -> None:
    server.script = ("Queued",)
    first = api.request(forest.uid, forest.file_id(FILE))
    # As if it were made from the web page between the two calls.
    server.fail("@datarequest_search", body=b"{}", headers=JSON)
    assert api.request(forest.uid, forest.file_id(FILE)) == first
    assert asked(server, "@datarequest_post") == 2
    assert server.posts == 1


def test_a_request_that_was_turned_away_is_sent_again(
    api: ClmsApi, server: ClmsServer, forest: Product
) -> None:
    server.fail("@datarequest_post", status=503)
    assert api.request(forest.uid, forest.file_id(FILE)) in server.tasks


def test_a_request_without_a_task_is_an_error(
    api: ClmsApi, server: ClmsServer, forest: Product
) -> None:
    server.fail("@datarequest_post", body=b'{"TaskIds": [], "ErrorTaskIds": [{}]}', headers=JSON)
    with pytest.raises(RemoteError, match="could not start a task"):
        api.request(forest.uid, forest.file_id(FILE))


def test_the_state_of_a_task(api: ClmsApi, server: ClmsServer, forest: Product) -> None:
    server.script = ("Finished_ok",)
    task = api.request(forest.uid, forest.file_id(FILE))
    server.fail("@datarequest_status_get", headers={"Retry-After": "7"}, status=None)
    state = api.status(task)
    assert state.status == "Finished_ok"
    assert state.retry_after == 7
    assert state.size == forest.deliveries[FILE].stat().st_size
    assert state.url is not None
    assert state.url not in repr(state)
    with pytest.raises(NotFoundError, match="task not found"):
        api.status("1")
    server.fail("@datarequest_status_get", body=b"{}", headers=JSON)
    with pytest.raises(RemoteError, match="no Status"):
        api.status(task)
    server.fail("@datarequest_status_get", status=404)
    with pytest.raises(RemoteError, match="HTML page instead of JSON"):
        api.status(task)
