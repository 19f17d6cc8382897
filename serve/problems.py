"""One table: what went wrong → HTTP status and problem document (RFC 9457). The words are the errors' own."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve import errors as request_errors
from training import errors as past_errors
from twins import errors, sealing
from twins.errors import FleetError, OverloadedError
from twins.whatif import errors as whatif_errors

MEDIA_TYPE: Final = "application/problem+json"

STATUS: Final[Mapping[type[FleetError], int]] = {
    errors.FleetError: 500,
    errors.DescriptionError: 422,
    errors.DeviceTypeError: 422,
    errors.FleetFileError: 422,
    errors.DeviceTypeNotFoundError: 404,
    errors.DeviceNotFoundError: 404,
    errors.DeviceExistsError: 409,
    errors.ReadingError: 422,
    errors.StaleDirectoryError: 503,
    errors.SupersededError: 503,
    errors.CommandRefusedError: 409,
    errors.VersionConflictError: 409,
    errors.NotOfferedError: 422,
    errors.ValueRefusedError: 422,
    errors.RoleTooLowError: 403,
    errors.UnknownNumberError: 404,
    errors.AlertNotFoundError: 404,
    errors.FilterError: 400,
    errors.OverloadedError: 429,
    errors.DegradedError: 503,
    errors.StorageFullError: 507,
    errors.FaultError: 500,
    errors.JournalError: 500,
    errors.JournalWriteError: 503,
    errors.DiskFullError: 507,
    errors.JournalCorruptError: 500,
    errors.JournalGapError: 410,
    errors.FencedError: 503,
    errors.SnapshotError: 500,
    errors.HostTwiceError: 500,
    errors.NoFolderError: 503,
    errors.FolderMissingError: 503,
    sealing.SealingError: 500,
    sealing.KeySourceError: 503,
    sealing.KeyMissingError: 503,
    sealing.KeyWrongError: 503,
    sealing.SealBrokenError: 500,
    whatif_errors.ExtraMissingError: 503,
    whatif_errors.PointUndefinedError: 409,
    whatif_errors.MetricError: 422,
    whatif_errors.RunFolderError: 409,
    whatif_errors.TooLargeError: 422,
    whatif_errors.ScenarioError: 422,
    past_errors.NothingToCompareError: 404,
    past_errors.MappingError: 422,
    past_errors.SourceFileError: 422,
    past_errors.JobNotFoundError: 404,
    past_errors.JobEndedError: 409,
    past_errors.JobFailedError: 500,
    past_errors.ExperimentNotFoundError: 404,
    past_errors.ExperimentUnderWayError: 409,
    past_errors.ModelNotFoundError: 404,
    past_errors.NoChampionError: 409,
    past_errors.ModelUnfitError: 409,
    past_errors.TooFewFailuresError: 409,
    past_errors.TrainingFailedError: 500,
    past_errors.ModelDamagedError: 500,
    past_errors.ModelFormatError: 500,
    past_errors.NoFormerModelError: 409,
    past_errors.HistoryError: 500,
    past_errors.HistoryConflictError: 503,
    past_errors.HistoryBehindError: 503,
    past_errors.MomentNotKeptError: 410,
    past_errors.MomentAheadError: 503,
    past_errors.UpkeepError: 500,
    past_errors.QueryError: 400,
    request_errors.RequestError: 400,
    request_errors.CursorError: 400,
    request_errors.SortError: 400,
    request_errors.OnePlaceError: 400,
    request_errors.UnfitError: 400,
    request_errors.RangeError: 400,
    request_errors.BodyError: 400,
    request_errors.PreconditionError: 428,
    request_errors.RevisionConflictError: 412,
    request_errors.NoteNeededError: 422,
    request_errors.AccessError: 403,
    request_errors.LoginRequiredError: 401,
    request_errors.LoginError: 401,
    request_errors.PasswordChangeError: 403,
    request_errors.ForbiddenError: 403,
    request_errors.SitesError: 403,
    request_errors.TokenError: 401,
    request_errors.KeyRefusedError: 401,
    request_errors.CrossSiteError: 403,
    request_errors.TooManyAttemptsError: 429,
    request_errors.TooManyRequestsError: 429,
    request_errors.PasswordError: 422,
    request_errors.AccountNotFoundError: 404,
    request_errors.AccountExistsError: 409,
    request_errors.KeyNotFoundError: 404,
    request_errors.TemplateNotFoundError: 404,
    request_errors.ChannelNotFoundError: 404,
    request_errors.RouteNotFoundError: 404,
    request_errors.ViewNotFoundError: 404,
    request_errors.InvitationNotFoundError: 404,
    request_errors.MaintenanceNotFoundError: 404,
    request_errors.RecommendationNotFoundError: 404,
    request_errors.ReceiverError: 503,
    request_errors.TypeVersionNotFoundError: 404,
    request_errors.DatabaseError: 500,
    request_errors.DatabaseUnavailableError: 503,
    request_errors.DatabaseNewerError: 500,
    request_errors.MigrationError: 500,
    request_errors.BrokerAddressError: 500,
    request_errors.ApiError: 500,
    request_errors.UnansweredError: 500,
}
"""Every error of the tree. What is not of the tree is 500 and says nothing of itself."""

_RETRY_AFTER_S: Final = 1
_COME_BACK: Final = (
    OverloadedError,
    request_errors.TooManyAttemptsError,
    request_errors.TooManyRequestsError,
)
"""Errors that say when it is worth the while to ask again."""

_STANDARD: Final = frozenset({"type", "title", "status", "detail", "code"})
_HTTP_CODES: Final[Mapping[int, str]] = {
    401: "login.required",
    403: "request.forbidden",
    404: "route.not_found",
    405: "route.method_not_allowed",
    408: "body.too_slow",
    413: "body.too_large",
    415: "body.not_json",
    421: "request.misdirected",
}

_log = logging.getLogger("twinfold.api")


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """A problem document as a response. ``facts`` are extra members."""
    body = _document(status, code, title, detail, facts or {})
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


def fleet_problem(error: FleetError) -> JSONResponse:
    """The problem document of an error of the tree as a response."""
    body = fleet_document(error)
    headers = {}
    if isinstance(error, _COME_BACK):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    elif body["status"] in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE):
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    elif body["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body, body["status"], headers=headers, media_type=MEDIA_TYPE)


def fleet_document(error: FleetError) -> dict[str, Any]:
    """The problem document of an error of the tree; its attributes are the facts. One that is ours is logged."""
    status = STATUS.get(type(error)) or next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    if status >= 500:
        _log.error("%s: %s", error.code, error)
    title = (type(error).__doc__ or error.code).partition("\n")[0].rstrip(".")
    return _document(status, error.code, title, str(error), _facts(vars(error)))


def internal_document() -> dict[str, Any]:
    """What a client is told of a fault of ours: nothing but that it was one."""
    detail = "a fault in the platform; its log has the details"
    return _document(500, "internal", "Internal error", detail, {})


def http_problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem document of a plain HTTP refusal."""
    title = HTTPStatus(status).phrase
    return problem(status, _HTTP_CODES.get(status, "request.refused"), title, detail, headers=headers)


def internal_problem() -> JSONResponse:
    """``internal_document`` as a response."""
    return JSONResponse(internal_document(), 500, media_type=MEDIA_TYPE)


def install_handlers(app: FastAPI) -> None:
    """Answer every error with its problem document."""
    app.add_exception_handler(FleetError, _on_fleet_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_fleet_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FleetError)
    return fleet_problem(error)


async def _on_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [
        {"where": ".".join(map(str, each["loc"])), "problem": each["msg"]} for each in error.errors()[:20]
    ]
    detail = "; ".join(f"{each['where']}: {each['problem']}" for each in found[:3])
    return problem(422, "request.invalid", "The request is not of the right shape", detail, {"errors": found})


async def _on_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return http_problem(error.status_code, str(error.detail), error.headers)


def _document(status: int, code: str, title: str, detail: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": f"urn:twinfold:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        **{name: value for name, value in facts.items() if name not in _STANDARD},
    }


def _facts(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes that JSON can hold; folders of the machine stay out."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in attributes.items()
        if not name.startswith("_") and name != "path" and _plain(value)
    }


def _plain(value: Any) -> bool:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(_plain(each) for each in value)
    return value is None or isinstance(value, str | int | float | bool)
