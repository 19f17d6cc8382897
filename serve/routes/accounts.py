"""Logging in, one's own account, and everybody's for admins; who did what."""

from functools import partial
from typing import Annotated, Any

from fastapi import Query, Request, Response

from serve import audit
from serve.accounts import UNCHANGED, Account, Invite
from serve.context import Address, Context, InContext, Who
from serve.errors import UnfitError
from serve.gate import guarded
from serve.preconditions import Match, expected, tagged
from serve.present import iso, reply
from serve.routes.words import Paged
from serve.schemas.accounts import (
    AccountChange,
    AccountItem,
    AccountList,
    AuditPage,
    Confirmation,
    Invitation,
    InvitationList,
    Invited,
    Login,
    Me,
    NewAccount,
    OneTime,
    PasswordChange,
    Refresh,
    Registration,
    SecondFactor,
    SessionList,
    TotpSecret,
)
from serve.schemas.accounts import (
    LoggedIn as Tokens,
)
from serve.schemas.base import Problem
from serve.sessions import LONGEST_US, LoggedIn, Principal
from twins.clock import SECOND_US
from twins.errors import CommandRefusedError

router = guarded(prefix="/api", tags=["accounts"])

_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 409, 412, 422, 428, 429, 503)
}


@router.post("/login", response_model=Tokens, responses=_REFUSALS)
async def login(context: InContext, request: Request, address: Address, body: Login) -> Response:
    """Begin a session: a cookie for a browser, tokens for a program."""
    agent = request.headers.get("user-agent", "")
    begun = await context.log_in(
        context.access.sessions.log_in, body.name, body.password.get_secret_value(), body.session, address, agent, body.code,
    )  # fmt: skip
    if body.session == "program":
        return reply(_tokens(context, begun))
    answer = reply({"account": account_item(begun.principal.account)})
    _set_cookie(context, answer, begun.secret)
    return answer


@router.post("/refresh", response_model=Tokens, responses=_REFUSALS)
async def refresh(context: InContext, address: Address, body: Refresh) -> Response:
    """The next access token. The refresh token is spent by that; if it comes twice, the session ends."""
    begun = await context.identify(context.access.sessions.refresh, body.refresh_token, address)
    return reply(_tokens(context, begun))


@router.post("/register", response_model=AccountItem, status_code=201, responses=_REFUSALS)
async def register(context: InContext, address: Address, body: Registration) -> Response:
    """Make an account of one's own, where `accounts.registration` is open, or with an invitation."""
    made = await context.log_in(
        context.access.accounts.register, body.name, body.password.get_secret_value(), context.config.registration,
        body.invitation, address,
    )  # fmt: skip
    return reply(account_item(made), 201)


@router.post("/logout", status_code=204, responses=_REFUSALS)
async def logout(context: InContext, address: Address, who: Who) -> Response:
    """End this session."""
    answer = Response(status_code=204)
    if who.session is not None:
        await context.identify(context.access.sessions.log_out, who.session, address)
        _set_cookie(context, answer, "")
    return answer


# -- one's own account ---------------------------------------------------------------------------------------------


@router.get("/me", response_model=Me, responses=_REFUSALS)
async def me(who: Who) -> Response:
    """Who asks."""
    account = None if who.session is None else who.session.account
    return reply(
        {
            "name": who.name,
            "role": who.role,
            "sites": None if who.sites is None else sorted(who.sites),
            "must_change": account is not None and account.must_change,
            "totp": account is not None and account.totp,
            "session": None if who.session is None else who.session.session,
        }
    )


@router.post("/me/password", status_code=204, responses=_REFUSALS)
async def change_password(context: InContext, address: Address, who: Who, body: PasswordChange) -> Response:
    """Choose a new password; all other sessions end."""
    mine = _session(who.session)
    old, new = body.old.get_secret_value(), body.new.get_secret_value()
    await context.log_in(context.access.sessions.prove, mine, old, address)
    await context.log_in(
        context.access.accounts.change_password, mine.account.name, old, new, address, mine.session
    )
    context.access.sessions.forget(mine.session)
    return Response(status_code=204)


@router.get("/me/sessions", response_model=SessionList, responses=_REFUSALS)
async def sessions(context: InContext, who: Who) -> Response:
    """Where one is logged in."""
    mine = _session(who.session)
    found = await context.identify(context.access.sessions.all, mine)
    items = [
        {
            "id": each.id,
            "kind": each.kind,
            "made": iso(each.made_us),
            "seen": iso(each.seen_us),
            "address": each.address,
            "agent": each.agent,
            "is_this": each.id == mine.session,
        }
        for each in found
    ]
    return reply({"items": items})


@router.delete("/me/sessions/{session}", status_code=204, responses=_REFUSALS)
async def end_session(context: InContext, address: Address, who: Who, session: str) -> Response:
    """Log out somewhere else."""
    await context.identify(context.access.sessions.end, _session(who.session), session, address)
    return Response(status_code=204)


@router.post("/me/totp", response_model=TotpSecret, responses=_REFUSALS)
async def begin_totp(context: InContext, who: Who) -> Response:
    """A secret for an authenticator app; it counts once confirmed."""
    name = _session(who.session).account.name
    secret, uri = await context.identify(context.access.accounts.begin_totp, name)
    return reply({"secret": secret, "uri": uri})


@router.post("/me/totp/confirm", status_code=204, responses=_REFUSALS)
async def confirm_totp(context: InContext, address: Address, who: Who, body: SecondFactor) -> Response:
    """Have a code asked for at each log-in from now on."""
    mine = _session(who.session)
    await context.identify(context.access.accounts.confirm_totp, mine.account.name, body.code, address)
    context.access.sessions.forget(mine.session)
    return Response(status_code=204)


@router.post("/me/totp/off", status_code=204, responses=_REFUSALS)
async def end_totp(context: InContext, address: Address, who: Who, body: Confirmation) -> Response:
    """Have no code asked for any more."""
    mine, password = _session(who.session), body.password.get_secret_value()
    await context.log_in(context.access.sessions.prove, mine, password, address)
    await context.log_in(context.access.accounts.end_totp, mine.account.name, password, address)
    context.access.sessions.forget(mine.session)
    return Response(status_code=204)


# -- everybody's accounts ------------------------------------------------------------------------------------------


@router.get("/users", response_model=AccountList, responses=_REFUSALS)
async def users(context: InContext, spot: Paged) -> Response:
    """The accounts, by name."""
    found = await context.identify(context.access.accounts.page, spot)
    return reply(found.shown(account_item))


@router.post("/users", response_model=OneTime, status_code=201, responses=_REFUSALS)
async def create(context: InContext, address: Address, who: Who, body: NewAccount) -> Response:
    """Make an account; its password is for one use, and to be handed over."""
    accounts = context.access.accounts
    password = await context.log_in(accounts.create, body.name, body.role, who.actor(address), body.sites)
    made = await context.identify(accounts.find, body.name)
    return reply({"account": account_item(made), "password": password}, 201)


@router.get("/users/{name}", response_model=AccountItem, responses=_REFUSALS)
async def user(context: InContext, name: str) -> Response:
    """One account."""
    return _account(await context.identify(context.access.accounts.find, name))


@router.patch("/users/{name}", response_model=AccountItem, responses=_REFUSALS)
async def change(
    context: InContext, address: Address, who: Who, name: str, body: AccountChange, if_match: Match = None
) -> Response:
    """Change the role, the sites, or whether the account may be used; its sessions end, so that this holds at once."""
    sites = body.sites if "sites" in body.model_fields_set else UNCHANGED
    revision = expected(if_match)

    def work() -> Account:
        return context.access.accounts.change(
            name, who.actor(address), revision, role=body.role, disabled=body.disabled, sites=sites
        )

    return _account(await context.identify(work))


@router.post("/users/{name}/password", response_model=OneTime, responses=_REFUSALS)
async def reset(context: InContext, address: Address, who: Who, name: str) -> Response:
    """A new password for one use, to be handed over; sessions end, and a second factor is forgotten."""
    accounts = context.access.accounts
    password = await context.log_in(accounts.reset, name, who.actor(address))
    found = await context.identify(accounts.find, name)
    return reply({"account": account_item(found), "password": password})


@router.get("/invitations", response_model=InvitationList, responses=_REFUSALS)
async def invitations(context: InContext, spot: Paged) -> Response:
    """The invitations that count, without their codes; those that end last first."""
    found = await context.identify(context.access.accounts.invites, spot)
    return reply(found.shown(invitation_item))


@router.delete("/invitations/{invitation}", status_code=204, responses=_REFUSALS)
async def withdraw(context: InContext, address: Address, who: Who, invitation: str) -> Response:
    """Let an invitation count no longer."""
    await context.identify(context.access.accounts.withdraw, invitation, who.actor(address))
    return Response(status_code=204)


@router.post("/invitations", response_model=Invited, status_code=201, responses=_REFUSALS)
async def invite(context: InContext, address: Address, who: Who, body: Invitation) -> Response:
    """A code with which one person may register, within a week."""
    if context.config.registration == "closed":
        raise CommandRefusedError(
            "invite", body.role, "`accounts.registration` is closed; make the account instead"
        )
    code = await context.identify(context.access.accounts.invite, body.role, who.actor(address), body.sites)
    return reply({"invitation": code}, 201)


@router.get("/audit", response_model=AuditPage, responses=_REFUSALS)
async def lines(
    context: InContext,
    spot: Paged,
    by: Annotated[str | None, Query(max_length=200, description="who did it")] = None,
    what: Annotated[
        str | None, Query(max_length=100, description="what was done, or how that begins, as `account.`")
    ] = None,
    subject: Annotated[str | None, Query(max_length=600, description="to what")] = None,
) -> Response:
    """Who did what, when and from where, the newest first."""
    wanted = partial(audit.lines, by=by, what=what, subject=subject)
    found = await context.identify(wanted, context.access.database, spot)
    return reply(found.shown(audit_item))


def account_item(account: Account) -> dict[str, Any]:
    """An account as the API shows it."""
    return {
        "name": account.name,
        "role": account.role,
        "sites": None if account.sites is None else sorted(account.sites),
        "disabled": account.disabled,
        "must_change": account.must_change,
        "totp": account.totp,
        "made": iso(account.made_us),
        "revision": account.revision,
    }


def invitation_item(invite: Invite) -> dict[str, Any]:
    """An invitation as the API shows it."""
    return {
        "id": invite.id,
        "role": invite.role,
        "sites": None if invite.sites is None else sorted(invite.sites),
        "by": invite.by,
        "expires": iso(invite.expires_us),
    }


def audit_item(line: audit.Line) -> dict[str, Any]:
    """A line of the audit as the API shows it."""
    return {
        "number": line.number,
        "at": iso(line.at_us),
        "by": line.by,
        "address": line.address,
        "what": line.what,
        "subject": line.subject,
        "detail": line.detail,
        "hash": line.hash,
    }


def _account(account: Account) -> Response:
    return tagged(account_item(account), account.revision)


def _tokens(context: Context, begun: LoggedIn) -> dict[str, Any]:
    token, lasts_s = context.access.sessions.access_token(begun.principal)
    return {
        "account": account_item(begun.principal.account),
        "access_token": token,
        "token_type": "bearer",
        "expires_in": lasts_s,
        "refresh_token": begun.secret,
    }


def _set_cookie(context: Context, answer: Response, secret: str) -> None:
    """The browser's session; an empty one ends it."""
    answer.set_cookie(
        context.config.cookie,
        secret,
        max_age=LONGEST_US // SECOND_US if secret else 0,
        path="/",
        secure=bool(context.config.public),
        httponly=True,
        samesite="strict",
    )


def _session(principal: Principal | None) -> Principal:
    if principal is None:
        raise UnfitError("this machine's own commands have no account", "log in as somebody")
    return principal
