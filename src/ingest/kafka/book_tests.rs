//! Tables for the bookkeeping of offsets: each row is one thing that happens, and what must hold after it.

use super::*;

const BOUNDS: Bounds = Bounds { records: 10, bytes: 1000, ahead_records: 1, ahead_kib: 1 };

fn name(number: i32) -> PartitionName {
    PartitionName { topic: "t".into(), number }
}

fn record(offset: u64, size: usize) -> Fetched {
    Fetched { offset, broker_time: None, headers: Vec::new(), value: vec![0; size] }
}

fn book(start: Option<u64>) -> Book {
    let mut book = Book::new(BOUNDS);
    book.add(&name(0), start);
    book
}

enum Do {
    Assign,
    Revoke,
    /// The broker sends this offset.
    Send(u64, Taken),
    /// The driver takes one record, with this offset.
    Pop(u64),
    OutOfRange(u64),
    /// low, asked in round, end
    Mark(u64, u64, u64, Step),
    Silent(u64),
    Seek(u64),
}
use Do::*;

/// Runs the rows; after each: what is wanted by the driver, what is read next, the end that is reported.
fn run(book: &mut Book, rows: &[(Do, u64, Option<u64>, u64)]) {
    for (at, (what, wanted, from, end)) in rows.iter().enumerate() {
        match *what {
            Assign => book.assign(0),
            Revoke => book.revoke(0),
            Send(offset, taken) => assert_eq!(book.take(0, record(offset, 1)), taken, "row {at}"),
            Pop(offset) => assert_eq!(book.buffer(0).pop_front().map(|r| r.offset), Some(offset), "row {at}"),
            OutOfRange(round) => book.out_of_range(0, round),
            Mark(low, round, end, step) => {
                let mark = super::Mark { low: Some((low, round)), end, confirmed: None };
                assert_eq!(book.mark(0, mark), step, "row {at}");
            }
            Silent(to) => book.silent(0, to),
            Seek(offset) => book.seek(0, offset),
        }
        assert_eq!(book.wanted(0), *wanted, "wanted after row {at}");
        let reading = book.reading().next().map(|(_, _, from)| from.unwrap_or(0));
        assert_eq!(reading, *from, "read from after row {at}");
        assert_eq!(book.status(0).end, *end, "end after row {at}");
    }
}

#[test]
fn revoked_records_are_read_again_and_strays_are_fenced() {
    let mut book = book(Some(5));
    run(
        &mut book,
        &[
            (Send(5, Taken::Fenced), 5, None, 5),
            (Assign, 5, Some(5), 5),
            (Send(5, Taken::Buffered), 5, Some(6), 6),
            (Send(6, Taken::Buffered), 5, Some(7), 7),
            (Send(7, Taken::Buffered), 5, Some(8), 8),
            (Pop(5), 6, Some(8), 8),
            (Revoke, 6, None, 8),
            (Send(8, Taken::Fenced), 6, None, 8),
            (Assign, 6, Some(6), 8),
            (Send(6, Taken::Buffered), 6, Some(7), 8),
            (Send(6, Taken::Repeated), 6, Some(7), 8),
            (Send(5, Taken::Repeated), 6, Some(7), 8),
            (Send(9, Taken::Buffered), 6, Some(10), 10),
        ],
    );
    assert_eq!(book.buffer(0).iter().map(|r| r.offset).collect::<Vec<_>>(), [6, 9]);
    assert!(book.take_lost().is_empty());
}

#[test]
fn assigned_anew_without_revocation_reads_the_untaken_again() {
    run(
        &mut book(Some(0)),
        &[
            (Assign, 0, Some(0), 0),
            (Send(0, Taken::Buffered), 0, Some(1), 1),
            (Send(1, Taken::Buffered), 0, Some(2), 2),
            (Pop(0), 1, Some(2), 2),
            (Assign, 1, Some(1), 2),
        ],
    );
}

#[test]
fn deleted_records_are_stated_once_and_reading_goes_on() {
    let mut book = book(Some(3));
    run(
        &mut book,
        &[
            (Assign, 3, Some(3), 3),
            (Mark(0, 1, 20, Step::Nothing), 3, Some(3), 20),
            (Send(3, Taken::Buffered), 3, Some(4), 20),
            (OutOfRange(7), 3, None, 20),
            // Asked before it was out of range: decides nothing.
            (Mark(0, 7, 20, Step::Nothing), 3, None, 20),
            (Mark(10, 8, 20, Step::Restart), 3, Some(10), 20),
            (Mark(10, 9, 20, Step::Nothing), 3, Some(10), 20),
            (Send(10, Taken::Buffered), 3, Some(11), 20),
        ],
    );
    assert_eq!(book.take_lost(), [Lost { partition: name(0), from: 4, to: 10 }]);
    assert!(book.take_lost().is_empty());
    assert_eq!(book.buffer(0).iter().map(|r| r.offset).collect::<Vec<_>>(), [3, 10]);
}

#[test]
fn a_log_that_ends_below_the_next_offset_stays_unread_until_a_seek() {
    let mut book = book(Some(50));
    run(
        &mut book,
        &[
            (Assign, 50, Some(50), 50),
            (OutOfRange(1), 50, None, 50),
            (Mark(0, 2, 10, Step::Broken), 50, None, 50),
            (Mark(0, 3, 60, Step::Nothing), 50, None, 60),
            (Revoke, 50, None, 60),
            (Assign, 50, None, 60),
        ],
    );
    assert!(book.fault(0).is_some_and(|f| f.to_string().contains("t/0 ends at offset 10, but offset 50")));
    assert_eq!(book.status(0).confirmed, None);
    run(&mut book, &[(Seek(2), 2, Some(2), 60)]);
    assert!(book.fault(0).is_none());
}

#[test]
fn a_false_alarm_of_range_restarts_where_it_was() {
    run(&mut book(Some(5)), &[(Assign, 5, Some(5), 5), (OutOfRange(1), 5, None, 5), (Mark(0, 2, 9, Step::Restart), 5, Some(5), 9)]);
}

#[test]
fn a_new_partition_starts_at_its_first_record_and_nothing_is_lost() {
    let mut book = book(None);
    run(
        &mut book,
        &[
            (Assign, 0, Some(0), 0),
            (Mark(7, 1, 9, Step::Nothing), 7, Some(0), 9),
            (Send(7, Taken::Buffered), 7, Some(8), 9),
            (Mark(8, 2, 9, Step::Nothing), 7, Some(8), 9),
        ],
    );
    assert!(book.take_lost().is_empty());
}

#[test]
fn offsets_without_records_at_the_end_do_not_keep_it_out_of_reach() {
    run(
        &mut book(Some(0)),
        &[
            (Assign, 0, Some(0), 0),
            (Send(0, Taken::Buffered), 0, Some(1), 1),
            (Mark(0, 1, 2, Step::Nothing), 0, Some(1), 2),
            (Silent(2), 0, Some(1), 2),
            (Silent(2), 0, Some(1), 1),
            (Mark(0, 2, 3, Step::Nothing), 0, Some(1), 3),
            (Send(2, Taken::Buffered), 0, Some(3), 3),
            (Silent(4), 0, Some(3), 3),
            (Revoke, 0, None, 3),
            (Assign, 0, Some(0), 3),
            // Word of before the revocation: once is not enough.
            (Silent(4), 0, Some(0), 3),
            (Send(0, Taken::Buffered), 0, Some(1), 3),
            (Silent(4), 0, Some(1), 3),
        ],
    );
}

#[test]
fn reading_pauses_at_the_bound_and_resumes_below_half() {
    let mut book = book(Some(0));
    book.assign(0);
    let mut offset = 0;
    let mut fill = |book: &mut Book, size: usize| {
        while book.wants_more(0) {
            book.take(0, record(offset, size));
            offset += 1;
        }
        book.buffered(0)
    };
    assert_eq!(fill(&mut book, 1), (10, 10));
    for (left, more) in [(9, false), (5, false), (4, true)] {
        let buffer = book.buffer(0);
        buffer.drain(..buffer.len() - left);
        assert_eq!(book.wants_more(0), more, "{left} left");
        assert_eq!(book.buffered(0), (left, left));
    }
    book.buffer(0).clear();
    assert_eq!(fill(&mut book, 400), (3, 1200), "bytes bound it as well");
    book.buffer(0).pop_front();
    assert!(!book.wants_more(0), "800 of 1000 bytes");
    book.buffer(0).pop_front();
    assert!(book.wants_more(0));
    book.revoke(0);
    assert!(!book.wants_more(0) && !book.is_full(0));
    assert_eq!(book.buffered(0), (0, 0));
}
