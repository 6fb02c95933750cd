//! An explanation of a window in words.
//!
//! Owns: its sentences in both languages, how times are told in them. Refuses to know: how the answer was found.
//!
//! Invariants
//! 1. A sentence says nothing that the fields of the explanation do not say.
//!
//! Called by: server::pipelines.

use crate::pipeline::Timing;
use crate::server::wire::{Holder, ReleasedBy, Text, WindowHold, WindowState};
use crate::time::Timestamp;

/// Partitions named at most.
const NAMED: usize = 3;

pub(super) struct Words<'a> {
    pub zone: &'a jiff::tz::TimeZone,
    pub now: Timestamp,
    pub measurement: &'a str,
    pub timing: &'a Timing,
}

impl Words<'_> {
    pub fn say(&self, state: WindowState, bounds: Option<(Timestamp, Timestamp)>, hold: Option<&WindowHold>, quiet: u32) -> Text {
        let Some((start, end)) = bounds else {
            return text(
                format!("Không có cửa sổ nào của {} đang chờ phát.", self.measurement),
                format!("No window of {} waits to fire.", self.measurement),
            );
        };
        let (from, to) = (self.clock(start.millis()), self.clock(end.millis()));
        let window =
            text(format!("Cửa sổ {from} – {to} của {}", self.measurement), format!("The window {from} – {to} of {}", self.measurement));
        match (state, hold) {
            (WindowState::Open, Some(hold)) => self.open(window, hold, quiet),
            (WindowState::Settled, _) => {
                join(window, text(" đã kết thúc: không gì thay đổi được nữa.", " is over: nothing can change it any more."))
            }
            _ => {
                let until = self.clock((end + self.timing.lateness).millis());
                join(
                    window,
                    text(
                        format!(
                            " đã phát (nếu có sự kiện rơi vào). Sự kiện đến trễ còn sửa được nó, đến khi mốc thời gian (watermark) của mọi phân vùng đạt {until}."
                        ),
                        format!(
                            " has fired, if any event fell into it. Late events may still revise it until every partition's watermark has reached {until}."
                        ),
                    ),
                )
            }
        }
    }

    fn open(&self, window: Text, hold: &WindowHold, quiet: u32) -> Text {
        let mut said = join(window, text(" chưa phát.", " has not fired."));
        if hold.holders.is_empty() {
            said = join(said, text(" Không phân vùng nào giữ nó.", " No partition holds it."));
        }
        for holder in hold.holders.iter().take(NAMED) {
            said = join(said, self.holder(holder));
        }
        let more = hold.holders.len().saturating_sub(NAMED);
        if more > 0 {
            said = join(said, text(format!(" {more} phân vùng khác cũng giữ nó."), format!(" {more} further partitions hold it too.")));
        }
        said = join(said, self.release(hold));
        if quiet > 0 {
            let of = text(
                format!(" {quiet} nguồn đã đăng ký chưa gửi gì kể từ đầu cửa sổ."),
                format!(" {quiet} registered sources have sent nothing since it began."),
            );
            said = join(said, of);
        }
        said
    }

    fn holder(&self, holder: &Holder) -> Text {
        let place = format!("{}/{}", holder.topic, holder.partition);
        let (mut vi, mut en) = match holder.watermark {
            Some(watermark) => {
                let at = self.clock(watermark);
                (
                    format!(" Phân vùng {place} giữ nó: mốc thời gian (watermark) mới tới {at}"),
                    format!(" Partition {place} holds it: its watermark is {at}"),
                )
            }
            None => (
                format!(" Phân vùng {place} giữ nó: chưa nhận sự kiện nào"),
                format!(" Partition {place} holds it: it has accepted nothing yet"),
            ),
        };
        if let (Some(source), Some(heard)) = (&holder.source, holder.heard) {
            let at = self.clock(heard);
            vi += &format!(", lần cuối nhận từ {source} (sự kiện lúc {at})");
            en += &format!(", last heard from {source} (event of {at})");
        }
        if holder.unreadable {
            vi += "; hiện không đọc được";
            en += "; it cannot be read just now";
        }
        text(vi + ".", en + ".")
    }

    fn release(&self, hold: &WindowHold) -> Text {
        let (at, deadline, event) = (self.clock(hold.release_at), self.clock(hold.deadline), self.clock(hold.event_time));
        let by_event = match hold.holders.len() {
            0 => Text::default(),
            1 => text(
                format!(" Nó phát khi phân vùng đó nhận một sự kiện từ {event} trở đi."),
                format!(" It fires once that partition has accepted an event of {event} or later."),
            ),
            _ => text(
                format!(" Nó phát khi mỗi phân vùng giữ nó nhận một sự kiện từ {event} trở đi."),
                format!(" It fires once each of them has accepted an event of {event} or later."),
            ),
        };
        let by_time = match hold.release_by {
            ReleasedBy::Time => {
                text(format!(" Nếu không có gì thêm, nó phát lúc {at}."), format!(" If nothing more comes it fires at {at}."))
            }
            ReleasedBy::Idle => text(
                format!(" Nếu không có gì thêm, nó phát lúc {at}, khi phân vùng cuối cùng được coi là im lặng; chậm nhất là {deadline}."),
                format!(" If nothing more comes it fires at {at}, when the last of them counts as idle; at the latest at {deadline}."),
            ),
            ReleasedBy::Deadline => text(
                format!(" Nếu không có gì thêm, nó phát lúc {at}, hết hạn chờ, và bị ghi là thiếu (incomplete)."),
                format!(" If nothing more comes it fires at {at}, its deadline, and is marked incomplete."),
            ),
        };
        join(by_event, by_time)
    }

    /// Of the pipeline's zone; with the day where it is another one than now.
    fn clock(&self, ms: i64) -> String {
        let civil = |t: Timestamp| {
            let instant = jiff::Timestamp::from_nanosecond(i128::from(t.0)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
            self.zone.to_datetime(instant)
        };
        let (at, now) = (civil(Timestamp::from_millis(ms)), civil(self.now));
        let time = if ms % 1000 == 0 { at.strftime("%H:%M:%S").to_string() } else { at.strftime("%H:%M:%S%.3f").to_string() };
        if at.date() == now.date() { time } else { format!("{} {time}", at.strftime("%d/%m/%Y")) }
    }
}

fn text(vi: impl Into<String>, en: impl Into<String>) -> Text {
    Text { vi: vi.into(), en: en.into() }
}

fn join(mut said: Text, more: Text) -> Text {
    said.vi += &more.vi;
    said.en += &more.en;
    said
}
