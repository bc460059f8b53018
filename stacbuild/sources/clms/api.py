"""Client of the download API of the Copernicus Land Monitoring Service (CLMS).

See https://eea.github.io/clms-api-docs/: ``@search`` finds data sets, ``@datarequest_post``
requests a file of one, and ``@datarequest_status_get`` polls the task that prepares it. Searching
needs no token; one is fetched when first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from stacbuild.errors import AuthError, RemoteError
from stacbuild.net.hrefs import leads_inwards
from stacbuild.net.http import get_json
from stacbuild.sources.clms.auth import (
    ACCEPT,
    Credentials,
    Token,
    content_of,
    positive,
    retry_after,
    send,
)

Json = dict[str, Any]

UNDER_WAY = frozenset({"Queued", "In_progress"})
FINISHED = "Finished_ok"
FAILED = frozenset({"Rejected", "Finished_nok", "Cancelled"})

_FIELDS = (
    "UID",
    "id",
    "downloadable_files",
    "temporalExtentStart",
    "temporalExtentEnd",
    "geographicBoundingBox",
)


@dataclass(frozen=True)
class TaskState:
    """State of a task of the CLMS.

    ``url`` (which expires, and works for anyone) and ``size`` in bytes are set if ``status`` is
    ``Finished_ok``; ``retry_after`` is in seconds, if the server asks for a pause.
    """

    status: str
    url: str | None = field(default=None, repr=False)
    size: int | None = None
    retry_after: float | None = None


class ClmsApi:
    """The calls of the API that a harvest needs.

    Parameters
    ----------
    url
        Root URL of the API, without trailing slash.
    session
        Sends all requests.
    credentials
        Returns the credentials; called when a request first needs them.
    """

    def __init__(
        self, url: str, session: requests.Session, credentials: Callable[[], Credentials]
    ) -> None:
        self.url = url
        self._session = session
        self._token = Token(credentials, session)

    def search(self, slugs: Collection[str]) -> dict[str, Json]:
        """Find data sets by their slugs, page after page until all are found.

        Returns
        -------
        dict
            The search records by slug. If one of *slugs* is missing, these are the records of all
            data sets.
        """
        found: dict[str, Json] = {}
        for record in self.records():
            if isinstance(record.get("id"), str):
                found[record["id"]] = record
            if all(slug in found for slug in slugs):
                break
        return found

    def request(self, dataset: str, file: str) -> str:
        """Request a file of a data set; return the id of the task that prepares it.

        A pending task for the same file (of a run that was killed, or from the web page) is reused:
        the CLMS refuses duplicates or works twice.

        Parameters
        ----------
        dataset
            ``UID`` of the search record.
        file
            ``@id`` of its entry in ``downloadable_files``.

        Raises
        ------
        RemoteError
            If the CLMS refuses, with its reason.
        AuthError
            If it does not accept the credentials.
        """
        if task := self._find_task(dataset, file, UNDER_WAY):
            return task
        body = {"Datasets": [{"DatasetID": dataset, "FileID": file}]}
        response = self._call("POST", "@datarequest_post", json=body)
        if response.status_code == 400 and (
            task := self._find_task(dataset, file, UNDER_WAY | {FINISHED})
        ):
            response.close()
            return task
        answer = content_of(response)
        tasks = answer.get("TaskIds") if isinstance(answer, dict) else None
        if not isinstance(tasks, list) or not tasks or not tasks[0].get("TaskID"):
            raise RemoteError(f"{self.url}/@datarequest_post: the CLMS could not start a task")
        return str(tasks[0]["TaskID"])

    def status(self, task: str) -> TaskState:
        """Return the state of a task.

        Raises
        ------
        NotFoundError
            If the CLMS does not know the task (any more).
        RemoteError, AuthError
            If the response is an error or malformed.
        """
        response = self._call("GET", "@datarequest_status_get", params={"TaskID": task})
        answer = content_of(response)
        if not isinstance(answer, dict) or not isinstance(answer.get("Status"), str):
            raise RemoteError(f"{response.url}: the response has no Status")
        url = answer.get("DownloadURL")
        if isinstance(url, str) and leads_inwards(self.url, url):
            raise RemoteError(f"{response.url}: the delivery lies in a private network; refused")
        size = positive(answer.get("FileSize"))
        return TaskState(
            status=answer["Status"],
            url=url if isinstance(url, str) and url else None,
            size=int(size) if size else None,
            retry_after=retry_after(response),
        )

    def records(self) -> Iterator[Json]:
        """Yield the search records of all data sets, page after page."""
        query = [("portal_type", "DataSet"), *(("metadata_fields", name) for name in _FIELDS)]
        url: str | None = requests.Request("GET", f"{self.url}/@search", params=query).prepare().url
        seen = set()
        while url:
            if url in seen:
                raise RemoteError(f"{url}: the pages of the search form a loop")
            seen.add(url)
            page = get_json(self._session, url, headers=ACCEPT)
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise RemoteError(f"{url}: is not a page of a search: no items")
            yield from page["items"]
            url = (page.get("batching") or {}).get("next")
            if url and leads_inwards(self.url, url):
                raise RemoteError(f"{self.url}/@search: goes on in a private network; refused")

    def _find_task(self, dataset: str, file: str, states: Collection[str]) -> str | None:
        answer = content_of(self._call("GET", "@datarequest_search"))
        for task, state in sorted(answer.items()) if isinstance(answer, dict) else ():
            if isinstance(state, dict) and state.get("Status") in states:
                for entry in state.get("Datasets") or ():
                    if entry.get("DatasetID") == dataset and entry.get("FileID") == file:
                        return str(task)
        return None

    def _call(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        url = f"{self.url}/{endpoint}"
        for _ in range(2):
            headers = ACCEPT | self._token.header()
            response = send(self._session, method, url, headers=headers, **options)
            if response.status_code != 401:
                break
            response.close()
            # Expired or revoked early: retry once with a new token.
            self._token.forget()
        if response.status_code in (401, 403):
            response.close()
            raise AuthError(
                f"{self._token.credentials.origin}: {url} refused a new token of these credentials "
                f"(HTTP {response.status_code}); make new ones in your CLMS profile"
            )
        return response
