"""A client of the API, for programs: a method for what they ask, and the API's own errors.

It answers with what the API sends, as JSON values; their shapes are those of the OpenAPI document.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from serve.errors import ApiError
from twins.errors import DegradedError

_ANSWER_WITHIN_S: Final = 60.0


class Client:
    """A connection to a platform; close it, or use it in a ``with`` block.

    Parameters
    ----------
    url : of the platform, as ``http://localhost:8700``
    token : an access token, a device key, or the local token of the platform's own machine
    """

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=_ANSWER_WITHIN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # -- jobs ------------------------------------------------------------------------------------------------------

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs that are remembered, the newest first."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/jobs")["items"]
        return found

    def job(self, job_id: str, after: int | None = None) -> dict[str, Any]:
        """A job; with ``after``, a version that is known, a newer one is waited for, up to 5 s."""
        query = {} if after is None else {"after": after}
        found: dict[str, Any] = self._ask("GET", f"/api/jobs/{job_id}", params=query)
        return found

    def cancel_job(self, job_id: str) -> dict[str, Any]:
        """End a job."""
        found: dict[str, Any] = self._ask("POST", f"/api/jobs/{job_id}/cancel")
        return found

    def begin_import(self, mapping: Path, files: Sequence[Path], live: bool = False) -> dict[str, Any]:
        """Take files of the platform's own machine in; gives the job."""
        body = {
            "mapping": str(mapping.resolve()),
            "files": [str(file.resolve()) for file in files],
            "live": live,
        }
        found: dict[str, Any] = self._ask("POST", "/api/imports", json=body)
        return found

    # -- notifications ---------------------------------------------------------------------------------------------

    def channels(self) -> list[dict[str, Any]]:
        """Every channel of notifications, by name."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/notifications/channels")["items"]
        return found

    def routes(self) -> list[dict[str, Any]]:
        """Every route of notifications, by name."""
        found: list[dict[str, Any]] = self._ask("GET", "/api/notifications/routes")["items"]
        return found

    def test_channel(self, channel: str) -> dict[str, Any]:
        """Send a test; gives whether the receiver took it, and what it said."""
        found: dict[str, Any] = self._ask("POST", f"/api/notifications/channels/{channel}/test")
        return found

    def _ask(
        self, method: str, path: str, json: Any = None, params: Mapping[str, str | int] | None = None
    ) -> Any:
        """What the API answers.

        Raises
        ------
        ApiError : it refuses.
        DegradedError : it does not answer.
        """
        try:
            answer = self._http.request(method, path, json=json, params=params)
        except httpx.HTTPError as error:
            raise DegradedError(f"{self._http.base_url} does not answer: {error}") from error
        if answer.is_success:
            return answer.json()
        try:
            said = answer.json()
            raise ApiError(answer.status_code, said["code"], said["detail"])
        except (ValueError, KeyError, TypeError):
            raise ApiError(answer.status_code, "api.refused", answer.text[:200]) from None
