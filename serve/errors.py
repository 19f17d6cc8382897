"""What can be wrong with a request itself and with the database, continuing the tree of ``twins/errors.py``.

::

    FleetError
    ├── RequestError               the request cannot be read as it stands
    │   ├── CursorError            a cursor that was not given out for this list or stream
    │   ├── SortError              a sort key that the list does not have
    │   ├── OnePlaceError          a page that is to be in two places
    │   └── UnfitError             a part of it does not fit
    │       ├── RangeError         a stretch of time, or channels, that make no sense
    │       ├── BodyError          a body that is no JSON, or not of the right shape as a whole
    │       └── PreconditionError  a change that does not say which revision it is a change of
    ├── CommandRefusedError
    │   └── VersionConflictError
    │       └── RevisionConflictError  a change of a revision that is no longer the newest
    ├── NoteNeededError            a command to an alert that must say why
    ├── AccessError                who asks may not do this
    │   ├── LoginRequiredError     nobody has logged in, or no longer
    │   ├── LoginError             name, password or code are not right
    │   ├── PasswordChangeError    the password must be changed first
    │   ├── ForbiddenError         the role does not reach that far
    │   ├── SitesError             the account is not for the sites that this is about
    │   ├── TokenError             an access token that is not accepted
    │   ├── KeyRefusedError        a device key that is not accepted
    │   └── CrossSiteError         a browser's session is used from a page that may not
    ├── ApiError                   what a client is told that is refused
    ├── UnansweredError            a platform that does not answer its client
    ├── BrokerAddressError         an MQTT broker or topic that makes no sense
    ├── TooManyAttemptsError       too many attempts to log in
    ├── TooManyRequestsError       one caller asks without a pause
    ├── PasswordError              a password that is too easily guessed
    ├── AccountNotFoundError       no such account
    ├── AccountExistsError         the name is taken
    ├── KeyNotFoundError           no such device key
    ├── TemplateNotFoundError      no such template of devices
    ├── ChannelNotFoundError       no such channel of notifications
    ├── RouteNotFoundError         no such route of notifications
    ├── ViewNotFoundError          no such saved view
    ├── InvitationNotFoundError    no such invitation
    ├── MaintenanceNotFoundError   no such maintenance record
    ├── RecommendationNotFoundError  nothing of the kind is recommended
    ├── ReceiverError              a receiver of notifications did not take one
    ├── TypeVersionNotFoundError   no such version of a device type or of its rules
    └── DatabaseError              the relational database cannot do what was asked
        ├── DatabaseUnavailableError  it does not answer
        ├── DatabaseNewerError     a newer Twinfold has been here
        └── MigrationError         a step to a newer shape of the tables failed
"""

from collections.abc import Mapping
from typing import Any

from twins.errors import FleetError, VersionConflictError


class RequestError(FleetError):
    """The request cannot be read as it stands."""

    code = "request.invalid"


class CursorError(RequestError):
    """A cursor that was not given out for this list or stream."""

    code = "cursor.invalid"

    def __init__(self, cursor: str, problem: str) -> None:
        super().__init__(cursor, problem)
        self.cursor = cursor
        self.problem = problem

    def __str__(self) -> str:
        return f"cursor {self.cursor[:40]!r}: {self.problem}; start again without it"


class SortError(RequestError):
    """A sort key that the list does not have."""

    code = "sort.invalid"

    def __init__(self, sort: str, known: tuple[str, ...]) -> None:
        super().__init__(sort, known)
        self.sort = sort
        self.known = known

    def __str__(self) -> str:
        return (
            f"cannot sort by {self.sort[:40]!r}; use one of {', '.join(self.known)}, with '-' for descending"
        )


class OnePlaceError(RequestError):
    """A page is asked for in two places at once."""

    code = "page.two_places"

    def __str__(self) -> str:
        return "a page is after a cursor, before one, or at an offset; leave out the others"


class UnfitError(RequestError):
    """A part of the request does not fit."""

    code = "request.unfit"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class RangeError(UnfitError):
    """A stretch of time, or channels, that make no sense."""

    code = "range.invalid"


class BodyError(UnfitError):
    """A body that is no JSON, or not of the right shape as a whole."""

    code = "body.invalid"


class PreconditionError(UnfitError):
    """A change must say which revision it is a change of."""

    code = "request.precondition_required"


class RevisionConflictError(VersionConflictError):
    """It was changed since the revision that this is a change of."""

    code = "revision.conflict"


class NoteNeededError(FleetError):
    """A command to an alert that must say why, and does not."""

    code = "alert.note_needed"

    def __init__(self, device_id: str, rule: str, priority: str) -> None:
        super().__init__(device_id, rule, priority)
        self.device_id = device_id
        self.rule = rule
        self.priority = priority

    def __str__(self) -> str:
        return (
            f"the alert {self.rule!r} of {self.device_id!r} is of {self.priority} priority, where this takes a note; "
            "say why in `note` or `reason`"
        )


class AccessError(FleetError):
    """Who asks may not do this."""

    code = "access.refused"


class LoginRequiredError(AccessError):
    """Nobody has logged in, or no longer."""

    code = "login.required"

    def __str__(self) -> str:
        return "log in first; the session may have ended"


class LoginError(AccessError):
    """Name, password or code are not right. Which of them is not said."""

    code = "login.failed"

    def __str__(self) -> str:
        return "name, password or code are not right; check them, or ask an admin for a new password"


class PasswordChangeError(AccessError):
    """The password must be changed before anything else."""

    code = "password.must_change"

    def __str__(self) -> str:
        return "this password was for one use; choose one of your own first"


class ForbiddenError(AccessError):
    """The role of who asks does not reach that far."""

    code = "access.forbidden"

    def __init__(self, role: str, needed: str) -> None:
        super().__init__(role, needed)
        self.role = role
        self.needed = needed

    def __str__(self) -> str:
        return f"this takes the role {self.needed}, yours is {self.role}; ask an admin"


class SitesError(AccessError):
    """The account is not for the sites that this is about."""

    code = "access.sites"

    def __init__(self, needed: str, sites: tuple[str, ...]) -> None:
        super().__init__(needed, sites)
        self.needed = needed
        self.sites = sites

    def __str__(self) -> str:
        return f"this takes an account for {self.needed}, yours is for {', '.join(self.sites)}; ask an admin"


class TokenError(AccessError):
    """An access token that is not accepted.

    ``reason`` is for the log.
    """

    code = "token.invalid"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self._reason = reason

    @property
    def reason(self) -> str:
        return self._reason

    def __str__(self) -> str:
        return "the access token is not accepted; log in again"


class KeyRefusedError(AccessError):
    """A device key that is not accepted."""

    code = "key.refused"

    def __str__(self) -> str:
        return "the device key is not accepted; it may have been revoked, or replaced: ask for a new one"


class CrossSiteError(AccessError):
    """A browser's session is used without the header that only our own pages send."""

    code = "request.cross_site"

    def __str__(self) -> str:
        return "a browser's session changes things from our own pages only; programs use a bearer token"


class TooManyAttemptsError(FleetError):
    """Too many attempts to log in from here."""

    code = "login.too_many_attempts"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"too many attempts to log in; try again in {self.retry_after_s:.0f} s"


class TooManyRequestsError(FleetError):
    """One caller asks more often than anybody may."""

    code = "rate.exceeded"

    def __init__(self, who: str, retry_after_s: float) -> None:
        super().__init__(who, retry_after_s)
        self.who = who
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return (
            f"{self.who} asks more often than one caller may; ask again in {self.retry_after_s:.1f} s, and read lists in "
            "pages or over the socket"
        )


class PasswordError(FleetError):
    """A password that is too easily guessed."""

    code = "password.weak"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"the password will not do: {self.problem}; {self.remedy}"


class AccountNotFoundError(FleetError):
    """There is no such account."""

    code = "account.not_found"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no account {self.name!r}; `twinfold user list` has those that there are"


class AccountExistsError(FleetError):
    """The name is taken."""

    code = "account.exists"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"the name {self.name!r} is taken; choose another"


class KeyNotFoundError(FleetError):
    """There is no such device key."""

    code = "key.not_found"

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key

    def __str__(self) -> str:
        return f"there is no device key {self.key!r}; `twinfold access-key list` has those that there are"


class TemplateNotFoundError(FleetError):
    """No such template of devices."""

    code = "template.not_found"

    def __init__(self, template: str) -> None:
        super().__init__(template)
        self.template = template

    def __str__(self) -> str:
        return f"no template {self.template[:60]!r}; GET /api/templates lists them"


class ChannelNotFoundError(FleetError):
    """There is no such channel of notifications."""

    code = "channel.not_found"

    def __init__(self, channel: str) -> None:
        super().__init__(channel)
        self.channel = channel

    def __str__(self) -> str:
        return f"there is no channel {self.channel!r}; `twinfold notify list` has those that there are"


class RouteNotFoundError(FleetError):
    """There is no such route of notifications."""

    code = "notification_route.not_found"

    def __init__(self, route: str) -> None:
        super().__init__(route)
        self.route = route

    def __str__(self) -> str:
        return f"there is no route {self.route!r}; `twinfold notify list` has those that there are"


class ViewNotFoundError(FleetError):
    """There is no such saved view, or it is somebody else's own."""

    code = "view.not_found"

    def __init__(self, view: str) -> None:
        super().__init__(view)
        self.view = view

    def __str__(self) -> str:
        return f"there is no saved view {self.view[:40]!r} of yours, nor one that is shared; `GET /api/views` has those"


class InvitationNotFoundError(FleetError):
    """There is no such invitation, or it counts no longer."""

    code = "invitation.not_found"

    def __init__(self, invitation: str) -> None:
        super().__init__(invitation)
        self.invitation = invitation

    def __str__(self) -> str:
        return f"no invitation {self.invitation[:40]!r} counts; `GET /api/invitations` has those that do"


class MaintenanceNotFoundError(FleetError):
    """There is no such maintenance record."""

    code = "maintenance.not_found"

    def __init__(self, record: str) -> None:
        super().__init__(record)
        self.record = record

    def __str__(self) -> str:
        return f"there is no maintenance record {self.record[:100]!r}; `GET /api/maintenance` has those that there are"


class RecommendationNotFoundError(FleetError):
    """Nothing of the kind is recommended, or no longer."""

    code = "recommendation.not_found"

    def __init__(self, recommendation: str) -> None:
        super().__init__(recommendation)
        self.recommendation = recommendation

    def __str__(self) -> str:
        return (
            f"nothing is recommended under {self.recommendation[:300]!r} at present;"
            " `GET /api/recommendations` has what is"
        )


class ReceiverError(FleetError):
    """A receiver of notifications did not take one."""

    code = "receiver.refused"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.problem}; see whether the receiver is up and the channel leads to it"


class TypeVersionNotFoundError(FleetError):
    """No such version of a device type or of its rules."""

    code = "type_version.not_found"

    def __init__(self, name: str, part: str, number: int, newest: int) -> None:
        super().__init__(name, part, number, newest)
        self.name = name
        self.part = part
        self.number = number
        self.newest = newest

    def __str__(self) -> str:
        what = "rules" if self.part == "rules" else "version"
        if not self.newest:
            return f"there are no versions of {self.name!r}; `twinfold types list` has those that there are"
        return f"{self.name!r} has no {what} {self.number}; they are numbered 1 to {self.newest}"


class DatabaseError(FleetError):
    """The relational database cannot do what was asked. ``database`` is its name without the password."""

    code = "database.error"

    def __init__(self, database: str, problem: str, remedy: str) -> None:
        super().__init__(database, problem, remedy)
        self._database = database
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"database {self._database}: {self.problem}; {self.remedy}"


class DatabaseUnavailableError(DatabaseError):
    """The relational database does not answer."""

    code = "database.unavailable"

    def __init__(self, database: str, problem: str) -> None:
        remedy = "check that it runs and that database.url is right; readings go on meanwhile"
        DatabaseError.__init__(self, database, problem, remedy)
        self.args = (database, problem)


class DatabaseNewerError(DatabaseError):
    """The relational database was written by a newer Twinfold."""

    code = "database.newer"

    def __init__(self, database: str, revision: str) -> None:
        problem = f"it is at revision {revision}, which this Twinfold does not know"
        DatabaseError.__init__(
            self, database, problem, "start the newer Twinfold, or restore a backup from before it"
        )
        self.args = (database, revision)
        self.revision = revision


class MigrationError(DatabaseError):
    """A step to a newer shape of the tables failed. Nothing was changed."""

    code = "database.migration_failed"

    def __init__(self, database: str, revision: str, problem: str) -> None:
        remedy = f"it is as it was, at revision {revision}; please report this, the former Twinfold still works with it"
        DatabaseError.__init__(self, database, problem, remedy)
        self.args = (database, revision, problem)
        self.revision = revision


class BrokerAddressError(FleetError):
    """An MQTT broker or topic that makes no sense."""

    code = "mqtt.address"

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


class ApiError(FleetError):
    """What the API said when it refused what its client asked; ``code`` is the one that it gave, ``facts`` are the rest."""

    code = "api.refused"

    def __init__(self, status: int, code: str, detail: str, facts: Mapping[str, Any]) -> None:
        super().__init__(status, code, detail, facts)
        self.status = status
        self.code = code
        self.detail = detail
        self.facts = facts

    def __str__(self) -> str:
        return self.detail


class UnansweredError(FleetError):
    """A platform does not answer its client. ``where`` is its address, or the data folder that it would run on."""

    code = "api.unanswered"

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where = where
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.where} does not answer: {self.problem}; see that a platform runs there (`twinfold status`)"
