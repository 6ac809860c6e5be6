"""The calendar of a running scorer: from a file or a feed, never silently old."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from online.adapters.news_calendar import NewsFeed, NewsFile
from online.api.news_watch import NewsSource, NewsWatch
from online.domain.errors import InvalidSettings, Unavailable
from online.domain.news import NO_NEWS, NewsCalendar
from online.settings import Settings, load_settings
from pipelines.news import read_calendar
from tests.fakes import BAR_NS, EURUSD, SECOND_NS, FakeClock

TEXT = (
    "starts_at,ends_at,subject,impact,name\n"
    "2017-10-03T00:00:00Z,2017-10-04T00:00:00Z,USD,high,Holiday\n"
)


class Told:
    """A feed that tells what the test puts there."""

    def __init__(self) -> None:
        self.status, self.body = 200, TEXT
        self.url = ""


@contextmanager
def serving(told: Told) -> Iterator[None]:
    """Serve what is told on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(told.status)
            self.end_headers()
            self.wfile.write(told.body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def watch(source: NewsSource, clock: FakeClock, first: NewsCalendar) -> tuple[NewsWatch, list[int]]:
    """Return a watch, and the sizes of the calendars it puts in force."""
    sizes: list[int] = []
    return NewsWatch(source, clock, first, 1.0, lambda news: sizes.append(len(news))), sizes


def test_a_feed_is_believed_for_its_time_and_no_longer() -> None:
    told, clock = Told(), FakeClock()
    with serving(told):
        feed = NewsFeed(told.url, max_age_seconds=60.0, timeout_seconds=10.0)
        calendar = asyncio.run(feed.fetch(BAR_NS))
    assert calendar is not None
    assert [e.name for e in calendar.in_force(EURUSD, BAR_NS) or ()] == ["Holiday"]
    assert calendar.in_force(EURUSD, BAR_NS + 60 * SECOND_NS) is None
    keeper, _ = watch(feed, clock, calendar)
    assert keeper.state().ready
    clock.time_ns += 60 * SECOND_NS
    assert (keeper.state().ready, keeper.state().code) == (False, "NEWS_UNAVAILABLE")


def test_a_feed_that_fails_or_tells_nonsense_leaves_the_old_calendar_until_it_is_too_old() -> None:
    told, clock = Told(), FakeClock()
    with serving(told):
        feed = NewsFeed(told.url, max_age_seconds=60.0, timeout_seconds=10.0)
        keeper, sizes = watch(feed, clock, NewsCalendar((), expires_at_ns=0))
        assert not keeper.state().ready  # nothing was told yet
        asyncio.run(keeper.look())
        assert (sizes, keeper.state().ready) == ([1], True)
        told.body = "<html>maintenance</html>"
        asyncio.run(keeper.look())
        assert (keeper.state().ready, keeper.state().code) == (True, "INVALID_NEWS_CALENDAR")
        told.status = 503
        asyncio.run(keeper.look())
        assert (keeper.state().ready, keeper.state().code) == (True, "NEWS_UNAVAILABLE")
        clock.time_ns += 60 * SECOND_NS
        assert not keeper.state().ready
        told.status, told.body = 200, TEXT
        asyncio.run(keeper.look())
    assert (sizes, keeper.state().ready, keeper.state().code) == ([1, 1], True, "")


def test_a_feed_that_does_not_answer_is_unavailable() -> None:
    feed = NewsFeed("http://127.0.0.1:1/", 60.0, 1.0)
    with pytest.raises(Unavailable) as caught:
        asyncio.run(feed.fetch(BAR_NS))
    assert caught.value.code == "NEWS_UNAVAILABLE"


@pytest.mark.parametrize("header", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_feed_that_says_nothing_or_drips_is_given_up_in_time(header: bytes) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(header)
        with suppress(ConnectionError):
            while True:
                if header:
                    writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.01)

    async def story() -> None:
        server = await asyncio.start_server(drip, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        feed = NewsFeed(f"http://127.0.0.1:{port}/", 60.0, timeout_seconds=0.1)
        async with asyncio.timeout(10):
            with pytest.raises(Unavailable) as caught:
                await feed.fetch(BAR_NS)
        assert caught.value.code == "NEWS_UNAVAILABLE"
        server.close()

    asyncio.run(story())


def test_a_feed_that_never_ends_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("online.adapters.news_calendar._LARGEST_BYTES", 1_000)
    told = Told()
    told.body = TEXT * 100
    with serving(told), pytest.raises(InvalidSettings, match="more than 1000 bytes"):
        asyncio.run(NewsFeed(told.url, 60.0, 10.0).fetch(BAR_NS))


def test_a_changed_file_is_put_in_force_and_a_broken_one_ends_what_it_told(tmp_path: Path) -> None:
    path, clock = tmp_path / "news.csv", FakeClock()
    path.write_text(TEXT)
    stamped = path.stat()
    file = NewsFile(path)
    keeper, sizes = watch(file, clock, file.read())
    asyncio.run(keeper.look())
    assert sizes == []  # as it was read
    path.write_text(TEXT + TEXT.splitlines()[1] + "\n")
    asyncio.run(keeper.look())
    assert sizes == [2]
    path.write_text("nonsense")
    for _ in range(3):  # it goes on being said, and is put out of force once
        asyncio.run(keeper.look())
        state = keeper.state()
        assert (sizes, state.code, state.ready) == ([2, 0], "INVALID_NEWS_CALENDAR", False)
    path.write_text(TEXT)
    os.utime(path, ns=(stamped.st_atime_ns, stamped.st_mtime_ns))  # as it was once read
    asyncio.run(keeper.look())
    assert (sizes, keeper.state().code) == ([2, 0, 1], "")
    path.unlink()
    asyncio.run(keeper.look())
    assert (keeper.state().ready, "cannot be read" in keeper.state().detail) == (False, True)


def test_what_is_in_force_while_a_file_cannot_be_read_lets_nothing_be_entered(
    tmp_path: Path,
) -> None:
    path, put = tmp_path / "news.csv", list[NewsCalendar]()
    path.write_text(TEXT)
    file = NewsFile(path)
    keeper = NewsWatch(file, FakeClock(), file.read(), 1.0, put.append)
    path.write_bytes(b"\xff\xfe not text")
    asyncio.run(keeper.look())
    assert [calendar.in_force(EURUSD, BAR_NS) for calendar in put] == [None]


def test_a_file_that_nobody_changed_for_its_age_is_believed_no_more(tmp_path: Path) -> None:
    path, clock = tmp_path / "news.csv", FakeClock()
    path.write_text(TEXT)
    os.utime(path, ns=(BAR_NS, BAR_NS - 50 * SECOND_NS))
    file = NewsFile(path, max_age_seconds=60.0)
    first = file.read(clock.now_ns())
    keeper, sizes = watch(file, clock, first)
    assert keeper.state().ready
    clock.time_ns += 10 * SECOND_NS
    asyncio.run(keeper.look())
    assert first.in_force(EURUSD, clock.time_ns) is None
    state = keeper.state()
    assert (state.ready, state.code) == (False, "NEWS_UNAVAILABLE")
    assert "too old by 0 s" in state.detail
    os.utime(path, ns=(clock.time_ns, clock.time_ns))  # made anew, and the same
    asyncio.run(keeper.look())
    assert (sizes, keeper.state().ready) == ([1], True)


def test_a_file_stamped_in_the_future_ages_from_when_it_was_read(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(TEXT)
    os.utime(path, ns=(BAR_NS, BAR_NS + 10**18))
    calendar = NewsFile(path, max_age_seconds=60.0).read(BAR_NS)
    assert calendar.expires_at_ns == BAR_NS + 60 * SECOND_NS
    assert NewsFile(path).read(BAR_NS).expires_at_ns is None


def test_a_file_that_is_missing_or_no_calendar_refuses_to_start(tmp_path: Path) -> None:
    for text in (None, "nonsense"):
        path = tmp_path / "news.csv"
        if text is not None:
            path.write_text(text)
        with pytest.raises(InvalidSettings, match=r"news\.csv"):
            NewsFile(path).read()


def test_a_backtest_reads_the_file_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text(TEXT)
    assert read_calendar(settings().news) is NO_NEWS
    assert len(read_calendar(settings(NEWS__KIND="file", NEWS__PATH=str(path)).news)) == 1


def test_a_feed_tells_no_past_and_is_refused_for_a_replay() -> None:
    with pytest.raises(InvalidSettings, match="past"):
        settings(NEWS__KIND="feed", NEWS__URL="https://news.example/")
    live = settings("paper", NEWS__KIND="feed", NEWS__URL="https://news.example/")
    with pytest.raises(InvalidSettings, match="past"):
        read_calendar(live.news)


def settings(mode: str = "replay", **variables: str) -> Settings:
    """Return the settings of a mode under some variables."""
    environment = {f"SEXTANT_{name}": value for name, value in variables.items()}
    try:
        return load_settings(mode, environment=environment)
    except ValidationError as error:  # it would have to be told in our own words
        raise AssertionError(error) from error
