"""Accounts, sessions, audit."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr

from serve.schemas.base import ListReply, Name, Reply, Request

Role = Literal["viewer", "operator", "engineer", "admin"]
AccountName = Annotated[str, Field(min_length=1, max_length=100, description="letters, digits and . @ + - _")]
Password = Annotated[SecretStr, Field(min_length=1, max_length=256)]
Sites = Annotated[
    list[Name], Field(min_length=1, max_length=100, description="where the role counts; null: at all sites")
]
Code = Annotated[str, Field(max_length=10, description="six digits of an authenticator app")]


class Login(Request):
    """Name and password; with ``session`` browser a cookie is set, with program tokens are given."""

    name: Annotated[AccountName, Field(validation_alias=AliasChoices("name", "username"))]
    password: Password
    code: Code | None = None
    session: Literal["program", "browser"] = "program"


class Refresh(Request):
    refresh_token: Annotated[str, Field(min_length=1, max_length=200)]


class Registration(Request):
    """For an account of one's own, where that is open or one was invited."""

    name: Annotated[AccountName, Field(validation_alias=AliasChoices("name", "username"))]
    password: Password
    invitation: Annotated[str | None, Field(max_length=100)] = None


class Invitation(Request):
    role: Role
    sites: Sites | None = None


class NewAccount(Request):
    name: AccountName
    role: Role
    sites: Sites | None = None


class AccountChange(Request):
    """What is left out stays. ``sites`` of null are all sites."""

    role: Role | None = None
    disabled: bool | None = None
    sites: Sites | None = None


class PasswordChange(Request):
    old: Password
    new: Password


class SecondFactor(Request):
    code: Code


class Confirmation(Request):
    password: Password


class AccountItem(Reply):
    name: str
    role: Role
    sites: Annotated[list[str] | None, Field(description="where the role counts; null: at all sites")]
    disabled: bool
    must_change: bool
    totp: bool
    made: str
    revision: int


class AccountList(ListReply):
    items: list[AccountItem]


class LoggedIn(Reply):
    """``access_token`` and what follows are for programs; browsers have their cookie."""

    account: AccountItem
    access_token: str | None = None
    token_type: Literal["bearer"] | None = None
    expires_in: int | None = None
    refresh_token: str | None = None


class Me(Reply):
    """Who asks. ``session`` is null for this machine's own commands."""

    name: str
    role: Role
    sites: Annotated[list[str] | None, Field(description="where the role counts; null: at all sites")]
    must_change: bool
    totp: bool
    session: str | None


class OneTime(Reply):
    """A password for one use, to be handed over; it is not shown again."""

    account: AccountItem
    password: str


class Invited(Reply):
    invitation: str


class InvitationItem(Reply):
    """An invitation that counts, without its code."""

    id: str
    role: Role
    sites: Annotated[list[str] | None, Field(description="where the role counts; null: at all sites")]
    by: str
    expires: str


class InvitationList(ListReply):
    items: list[InvitationItem]


class TotpSecret(Reply):
    secret: str
    uri: str


class SessionItem(Reply):
    id: str
    kind: Literal["browser", "program"]
    made: str
    seen: str
    address: str
    agent: str
    is_this: bool


class SessionList(Reply):
    items: list[SessionItem]


class AuditItem(Reply):
    number: int
    at: str
    by: str
    address: str
    what: str
    subject: str
    detail: dict[str, Any]
    hash: str


class AuditPage(ListReply):
    items: list[AuditItem]
