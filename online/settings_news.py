"""Settings of the news calendar: none, a file, or a feed."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    """Base of every kind: frozen, extras forbidden, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class NoNewsSettings(_Section):
    """No calendar is kept."""

    kind: Literal["none"] = Field(default="none", description="No calendar is kept.")


class NewsFileSettings(_Section):
    """A calendar in a file; a malformed one refuses to start, and entries wait while it is one."""

    kind: Literal["file"] = Field(
        default="file", description="A file; while it cannot be read nothing starts or is entered."
    )
    path: Path = Field(description="CSV or JSON, as infra/config/news.example.csv shows.")
    poll_seconds: float = Field(
        default=5.0, gt=0, le=3600, description="How often it is looked at for changes."
    )
    max_age_seconds: float = Field(
        default=691_200.0,
        ge=0,
        le=31_622_400,
        description="How long it is believed after it was last changed; 0 for ever. "
        "A replay's does not age.",
    )


class NewsFeedSettings(_Section):
    """A calendar behind an address; entries wait until it has told one, and once it is too old."""

    kind: Literal["feed"] = Field(
        default="feed", description="An address; entries wait while it tells none."
    )
    url: str = Field(
        pattern="^https?://", description="Answers with CSV or JSON; one with a key is a secret."
    )
    poll_seconds: float = Field(
        default=900.0, gt=0, le=86_400, description="Between two questions."
    )
    max_age_seconds: float = Field(
        default=7200.0, gt=0, le=604_800, description="How long an answer is believed."
    )
    timeout_seconds: float = Field(
        default=10.0, gt=0, le=120, description="Longest wait for an answer."
    )


NewsSettings = NoNewsSettings | NewsFileSettings | NewsFeedSettings
