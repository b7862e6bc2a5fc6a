"""People, their logins and API tokens, and the tokens with which agents register."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from common.models.base import TABLE_OPTIONS, Base, HasId


class User(HasId, Base):
    """A person. token_epoch: raising it ends all logins of the person at once."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(100), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[int] = mapped_column(SmallInteger)
    is_active: Mapped[bool] = mapped_column(default=True)
    token_epoch: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class Login(HasId, Base):
    """One login. Its access tokens contain its id; each refresh token can be used once.

    refresh_id: the id of the valid refresh token. ended_at: set at logout, when a refresh token is used twice, and when
    its owner ends it or changes the password. last_used_at: when tokens were last issued for it, from the IP address
    and to the client (User-Agent) noted beside it; None: not since an older version.
    """

    __tablename__ = "logins"
    __table_args__ = (Index("ix_logins_user_created", "user_id", "created_at", "id"), TABLE_OPTIONS)

    user_id: Mapped[str] = mapped_column(String(40), ForeignKey("users.id", ondelete="CASCADE"))
    refresh_id: Mapped[str] = mapped_column(String(40))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    address: Mapped[str | None] = mapped_column(String(45))
    client: Mapped[str | None] = mapped_column(String(200))
    last_used_at: Mapped[datetime | None]


class ApiToken(HasId, Base):
    """A person's token for programs. digest: its SHA-256; the token itself is shown once and not stored.

    parent_id: the API token that created this one; deleting it deletes this one, too. None: created in a login.
    expires_at: None only for tokens of older versions, which had no limit.
    """

    __tablename__ = "api_tokens"

    user_id: Mapped[str] = mapped_column(String(40), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    role: Mapped[int] = mapped_column(SmallInteger)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
    last_used_at: Mapped[datetime | None]
    parent_id: Mapped[str | None] = mapped_column(String(40), index=True)


class EnrolmentToken(HasId, Base):
    """Lets agents register until it expires or its creator stops being an active administrator.

    created_by_id: the administrator who created it; None: the platform. parent_id: see ApiToken.
    """

    __tablename__ = "enrolment_tokens"

    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[str] = mapped_column(String(140))
    created_by_id: Mapped[str | None] = mapped_column(String(40), index=True)
    parent_id: Mapped[str | None] = mapped_column(String(40), index=True)
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None] = mapped_column(index=True)
