"""What every log promises, in memory and in PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest

from store.log import Append, Appended, Conflict, DeadlineExceeded, Log, Meta, Series, Who, Write

from .events import META, Happened, Met, Names, Numbered, assert_whole, everything, happenings, new


async def test_an_empty_log_has_no_head_and_no_history(log: Log) -> None:
    assert await log.head() == 0
    assert await log.feed(0, 10) == []
    history = await log.read(uuid4())
    assert (history.version, history.position, history.events) == (0, 0, [])


async def test_what_was_appended_is_read_again_as_it_was(log: Log) -> None:
    stream, events = uuid4(), [Happened("a"), Met("here", Names("Ada", "L.")), Met("there")]
    appended = await log.append([Write(stream, 0, events)], META)
    history = await log.read(stream)
    assert history.events == events
    assert (history.version, history.position) == (3, appended.position)
    assert [event.meta for event in history.recorded] == [META] * 3
    assert {event.recorded for event in history.recorded} == {appended.recorded}
    assert [event.name for event in history.recorded] == ["Happened", "Met", "Met"]


async def test_recorded_is_the_time_of_writing(log: Log) -> None:
    before = datetime.now(UTC)
    appended = await log.append([new()], META)
    assert before <= appended.recorded <= datetime.now(UTC)
    assert appended.recorded.tzinfo is not None


async def test_an_append_to_several_streams_is_all_or_nothing(log: Log) -> None:
    first, second = new(2), new(3)
    await log.append([first, second], META)
    with pytest.raises(Conflict) as caught:
        await log.append(
            [new(), Write(first.stream, 2, happenings(1)), Write(second.stream, 1, happenings(1))], META
        )
    assert caught.value.streams == (second.stream,)
    assert len(await everything(log)) == 5


async def test_every_event_of_an_append_has_its_position_told(log: Log) -> None:
    first, second = new(2), new(3)
    appended = await log.append([Write(uuid4(), 0, []), first, second], META)
    for write, positions in ((first, appended.positions[:2]), (second, appended.positions[2:])):
        history = await log.read(write.stream)
        assert [each.position for each in history.recorded] == list(positions)
    assert appended.position == appended.positions[-1] == await log.head()


async def test_a_stream_can_be_written_twice_in_one_append(log: Log) -> None:
    stream = uuid4()
    await log.append([Write(stream, 0, happenings(2)), new(), Write(stream, 2, happenings(1))], META)
    assert (await log.read(stream)).version == 3
    with pytest.raises(Conflict):
        await log.append([Write(stream, 3, happenings(1)), Write(stream, 3, happenings(1))], META)


async def test_what_accompanies_a_write_of_its_own_stands_in_place_of_the_appends(log: Log) -> None:
    other = Meta(Who("claimed", "ada"), reason="her own")
    plain, own = new(2), Write(uuid4(), 0, happenings(2), other)
    await log.append([plain, own], META)
    assert {each.meta for each in (await log.read(plain.stream)).recorded} == {META}
    assert {each.meta for each in (await log.read(own.stream)).recorded} == {other}


async def test_of_many_appends_in_one_go_each_has_its_own_end(log: Log) -> None:
    taken = new()
    await log.append([taken], META)
    writes = [[new(2)], [new(), Write(taken.stream, 0, happenings(1))], [new(3)]]
    first, conflict, last = await log.append_each([Append(each, META) for each in writes])
    assert isinstance(first, Appended)
    assert isinstance(last, Appended)
    assert isinstance(conflict, Conflict)
    assert conflict.streams == (taken.stream,)
    assert (await log.read(writes[0][0].stream)).position == first.position
    assert (await log.read(writes[2][0].stream)).position == last.position
    assert (await log.read(writes[1][0].stream)).version == 0
    assert await log.append_each([]) == ()


async def test_appends_in_one_go_to_one_stream_are_told_which_came_first(log: Log) -> None:
    stream = uuid4()
    appends = [Append([Write(stream, 0, happenings(1, f"{n}"))], META) for n in range(5)]
    first, *others = await log.append_each(appends)
    assert isinstance(first, Appended)
    assert {type(each) for each in others} == {Conflict}
    assert (await log.read(stream)).events == happenings(1, "0")


async def test_a_stream_that_has_moved_on_is_a_conflict(log: Log) -> None:
    write = new(2)
    await log.append([write], META)
    for expected in (0, 1, 3):
        with pytest.raises(Conflict):
            await log.append([Write(write.stream, expected, happenings(1))], META)
    assert (await log.read(write.stream)).version == 2


async def test_a_guard_checks_and_writes_nothing(log: Log) -> None:
    reference = new(3)
    await log.append([reference], META)
    await log.append([Write(reference.stream, 3, []), new()], META)
    with pytest.raises(Conflict):
        await log.append([Write(reference.stream, 2, []), new()], META)
    assert (await log.read(reference.stream)).version == 3


async def test_many_guards_on_one_stream_go_together(log: Log) -> None:
    reference = new(1)
    await log.append([reference], META)
    guarded = [log.append([Write(reference.stream, 1, []), new()], META) for _ in range(50)]
    assert len({appended.position for appended in await asyncio.gather(*guarded)}) == 50


async def test_an_append_of_nothing_is_a_mistake(log: Log) -> None:
    with pytest.raises(ValueError, match="nothing"):
        await log.append([Write(uuid4(), 0, [])], META)


async def test_history_up_to_a_version(log: Log) -> None:
    write = new(5)
    await log.append([write], META)
    history = await log.read(write.stream, upto=3)
    assert (history.version, history.events) == (3, list(write.events[:3]))


async def test_many_streams_are_read_at_once(log: Log) -> None:
    first, second, unknown = new(2), new(3), uuid4()
    await log.append([first], META)
    await log.append([second], META)
    histories = await log.read_many([second.stream, unknown, first.stream])
    assert {stream: history.version for stream, history in histories.items()} == {
        first.stream: 2,
        second.stream: 3,
        unknown: 0,
    }


async def test_the_feed_is_in_order_and_pages(log: Log) -> None:
    for _ in range(7):
        await log.append([new(3)], META)
    stored = await everything(log, page=4)
    assert len(stored) == 21
    assert_whole(stored)
    assert stored[-1].position == await log.head()
    assert await log.feed(stored[9].position, 2) == stored[10:12]


async def test_the_feed_picks_by_name(log: Log) -> None:
    await log.append([Write(uuid4(), 0, [Happened("a"), Met("b"), Happened("c"), Numbered("d")])], META)
    assert [event.topic for event in await log.feed(0, 10, topics=["Met", "Numbered"])] == ["Met", "Numbered"]
    assert await log.feed(0, 10, topics=["Unheard"]) == []


async def test_a_waiting_reader_is_woken_by_an_append(log: Log) -> None:
    head = await log.head()
    waiting = asyncio.create_task(log.wait(head, timeout=10))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await log.append([new()], META)
    await asyncio.wait_for(waiting, timeout=1)


async def test_a_reader_behind_does_not_wait(log: Log) -> None:
    await log.append([new()], META)
    await asyncio.wait_for(log.wait(0, timeout=10), timeout=1)


async def test_a_waiting_reader_is_let_go_when_its_time_is_over(log: Log) -> None:
    await asyncio.wait_for(log.wait(await log.head(), timeout=0.05), timeout=1)


async def test_one_stream_and_many_writers_at_once_make_one_winner(log: Log) -> None:
    stream = uuid4()
    outcomes = await asyncio.gather(
        *(log.append([Write(stream, 0, happenings(2, str(i)))], META) for i in range(20)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 19
    assert (await log.read(stream)).version == 2


async def test_a_conflict_costs_only_its_own_request(log: Log) -> None:
    taken = new()
    await log.append([taken], META)
    writes = [taken if i % 5 == 0 else new(3) for i in range(100)]
    outcomes = await asyncio.gather(*(log.append([write], META) for write in writes), return_exceptions=True)
    conflicts = [isinstance(outcome, Conflict) for outcome in outcomes]
    assert conflicts == [i % 5 == 0 for i in range(100)]
    stored = await everything(log)
    assert_whole(stored)
    assert len(stored) == 1 + 80 * 3


class SoldOut(Exception):
    pass


def numbering(series: UUID, subject: UUID, maximum: int = 10**9) -> Series:
    def numbered(head: int) -> Sequence[Write]:
        if head >= maximum:
            raise SoldOut()
        return [
            Write(series, head, [Numbered(str(subject))]),
            Write(UUID(int=series.int + head + 1), 0, [Happened("claimed")]),
            Write(subject, 0, [Happened(str(head + 1))]),
        ]

    return Series(series, numbered)


async def test_a_series_hands_out_consecutive_numbers(log: Log) -> None:
    series, subjects = uuid4(), [uuid4() for _ in range(50)]
    await asyncio.gather(*(log.append([], META, series=numbering(series, s)) for s in subjects))
    histories = await log.read_many(subjects)
    assert sorted(int(h.events[0].what) for h in histories.values()) == list(range(1, 51))
    assert (await log.read(series)).version == 50
    assert_whole(await everything(log))


async def test_a_series_that_refuses_costs_only_its_own_request(log: Log) -> None:
    series = uuid4()
    outcomes = await asyncio.gather(
        *(log.append([], META, series=numbering(series, uuid4(), maximum=7)) for _ in range(10)),
        log.append([new()], META),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes].count("SoldOut") == 3
    assert (await log.read(series)).version == 7


async def test_a_series_goes_with_guards_and_other_writes(log: Log) -> None:
    series, subject, draft = uuid4(), uuid4(), new(2)
    await log.append([draft], META)
    with pytest.raises(Conflict):
        await log.append([Write(draft.stream, 1, [])], META, series=numbering(series, subject))
    assert (await log.read(series)).version == 0
    await log.append([Write(draft.stream, 2, happenings(1))], META, series=numbering(series, subject))
    assert (await log.read(series)).version == 1
    assert (await log.read(draft.stream)).version == 3


async def test_a_claimed_number_cannot_be_given_out(log: Log) -> None:
    series = uuid4()
    await log.append([Write(UUID(int=series.int + 1), 0, happenings(1))], META)
    with pytest.raises(Conflict):
        await log.append([], META, series=numbering(series, uuid4()))


async def test_a_deadline_that_has_passed_writes_nothing(log: Log) -> None:
    write = new()
    with pytest.raises(DeadlineExceeded):
        await log.append([write], META, deadline=asyncio.get_running_loop().time() - 1)
    await log.append([new()], META)
    assert (await log.read(write.stream)).version == 0


async def test_callers_who_cancel_and_come_again_are_written_once(log: Log) -> None:
    async def persistent(stream: UUID, number: int) -> None:
        for patience in (0.0001 * number, None):
            try:
                async with asyncio.timeout(patience):
                    await log.append([Write(stream, 0, happenings(3))], META)
            except TimeoutError:
                continue
            except Conflict:
                return

    streams = [uuid4() for _ in range(200)]
    await asyncio.gather(*(persistent(stream, i) for i, stream in enumerate(streams)))
    histories = await log.read_many(streams)
    assert {history.version for history in histories.values()} == {3}
    assert_whole(await everything(log))


async def test_after_closing_nothing_is_accepted_and_all_that_waited_is_written(log: Log) -> None:
    waiting = [asyncio.create_task(log.append([new()], META)) for _ in range(20)]
    await asyncio.sleep(0)
    head = await log.head()
    assert head <= 20
    await log.close()
    assert len({(await task).position for task in waiting}) == 20
    with pytest.raises(Exception, match="closed"):
        await log.append([new()], META)


async def test_who_and_why_accompany_every_event(log: Log) -> None:
    meta = Meta(Who("jwt", "ann"), "c-1", "e-7", 'a "reason"', "00-aa-bb-01")
    write = new(2)
    await log.append([write], meta)
    assert [event.meta for event in (await log.read(write.stream)).recorded] == [meta, meta]


async def test_the_clock_never_goes_back(log: Log) -> None:
    recorded = [(await log.append([new()], META)).recorded for _ in range(5)]
    assert recorded == sorted(recorded)
    assert recorded[-1] - recorded[0] < timedelta(seconds=10)


async def test_the_log_tells_how_far_it_had_come_at_any_instant(log: Log) -> None:
    appended = [await log.append([new(200)], META) for _ in range(8)]
    beginning = appended[0].recorded - timedelta(microseconds=1)
    assert await log.position_at(beginning) == (await log.feed(0, 1))[0].position - 1
    for one, after in pairwise(appended):
        assert await log.position_at(one.recorded) == one.position
        assert await log.position_at(after.recorded - timedelta(microseconds=1)) == one.position
    assert await log.position_at(datetime.now(UTC) + timedelta(days=1)) == await log.head()


async def test_a_stream_is_read_in_parts(log: Log) -> None:
    first, second = new(3), new(1)
    await log.append([first], META)
    position = (await log.append([second], META)).position
    await log.append([Write(first.stream, 3, happenings(2))], META)

    async def versions(**part: int) -> list[int]:
        return [each.version for each in (await log.read(first.stream, **part)).recorded]

    assert await versions(after=1, upto=4) == [2, 3, 4]
    assert await versions(position=position) == [1, 2, 3]
    assert await versions(after=5) == []
