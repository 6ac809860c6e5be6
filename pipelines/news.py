"""The news calendar of a backtest: the scorer's own, which is a file or none."""

from __future__ import annotations

from typing import assert_never

from online.adapters.news_calendar import NewsFile
from online.domain.errors import InvalidSettings
from online.domain.news import NO_NEWS, NewsCalendar
from online.settings_news import (
    NewsFeedSettings,
    NewsFileSettings,
    NewsSettings,
    NoNewsSettings,
)


def read_calendar(settings: NewsSettings) -> NewsCalendar:
    """Return the calendar of the settings.

    Raises
    ------
    InvalidSettings
        If the file is no calendar, or the settings name a feed, which tells nothing of the past.
    """
    match settings:
        case NoNewsSettings():
            return NO_NEWS
        case NewsFileSettings():
            return NewsFile(settings.path).read()
        case NewsFeedSettings():
            raise InvalidSettings("a backtest reads its news from a file: a feed tells no past")
        case _:
            assert_never(settings)
