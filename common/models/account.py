"""People, their logins and tokens, and the tokens that let agents in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from common.models.base import Base, HasId


class User(HasId, Base):
    """A person. token_epoch rises when every login and token of theirs has to end at once."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[int] = mapped_column(SmallInteger)
    is_active: Mapped[bool] = mapped_column(default=True)
    token_epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class Login(HasId, Base):
    """One login: its access tokens name it, its refresh token is good once. Ended by logout, expiry or reuse."""

    __tablename__ = "logins"

    user_id: Mapped[str] = mapped_column(String(40), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    refresh_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ApiToken(HasId, Base):
    """A person's token for programs. `digest` is its SHA-256; the token itself is shown once.

    parent_id: the API token that it was made with, and ends with; None for one that was made in a login. expires_at is
    None only for tokens made before expiries were bounded.
    """

    __tablename__ = "api_tokens"

    user_id: Mapped[str] = mapped_column(String(40), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[int] = mapped_column(SmallInteger)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    parent_id: Mapped[str | None] = mapped_column(String(40), index=True)


class EnrolmentToken(HasId, Base):
    """Lets agents register until it expires, or its maker is no administrator any more.

    created_by_id: the administrator who made it, None for one that the platform made. parent_id: as of an API token.
    """

    __tablename__ = "enrolment_tokens"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[str] = mapped_column(String(140))
    created_by_id: Mapped[str | None] = mapped_column(String(40), index=True)
    parent_id: Mapped[str | None] = mapped_column(String(40), index=True)
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
