//! The rules of a share: one percentage, or stages with a date each.

use crate::config::raw::Text;
use crate::config::raw_flow::RawStage;
use crate::config::reader::List;
use crate::config::units::{self, write_moment};
use crate::config::validate::Context;
use crate::decide::bucket::Share;
use crate::decide::stage::{Schedule, Stage, StageFault};

/// The share that `percent` or `stages` writes. `None` where neither does, and where a mistake was reported.
pub(super) fn schedule(
    context: &Context<'_, '_>,
    percent: &Text,
    stages: Option<List<RawStage>>,
) -> Option<Schedule> {
    let constant = percent.as_ref().and_then(|text| context.unit(&text.at, units::percent(&text.value)));
    let Some(list) = stages else { return constant.map(Schedule::constant) };
    if percent.is_some() {
        let hint = "keep one of them: stages say when each percentage begins";
        context.error(&list.at, "`percent` and `stages` are both written", hint);
    }
    let (is_empty, at) = (list.is_empty(), list.at);
    let (mut places, mut read) = (Vec::new(), Vec::new());
    for RawStage { at: place, percent, date, shrink } in list.items {
        let share = percent.as_ref().and_then(|text| context.unit(&text.at, units::percent(&text.value)));
        let moment = date.as_ref().and_then(|date| context.unit(&date.at, units::moment(&date.value)));
        // One that cannot be read has been told; the others are held against each other all the same.
        if let (Some(share), Some(moment)) = (share, moment) {
            let place = |written: Option<_>| written.unwrap_or_else(|| place.clone());
            read.push(Stage { at: moment, share, shrink: context.flag(&shrink, false) });
            places.push([
                place(percent.map(|text| text.at)),
                place(date.map(|date| date.at)),
                place(shrink.map(|shrink| shrink.at)),
            ]);
        }
    }
    if read.is_empty() && !is_empty {
        return None;
    }
    let faults = match Schedule::staged(read.clone()) {
        Ok(schedule) => return Some(schedule),
        Err(faults) => faults,
    };
    for fault in faults {
        match fault {
            StageFault::Empty => {
                let hint = "write stages = [{ percent = 1, at = 2026-12-01T09:00:00Z }], or a percent";
                context.error(&at, "the list of stages is empty", hint);
            }
            StageFault::NotLater(index) => {
                let before = write_moment(read[index - 1].at);
                let hint =
                    format!("the stage before begins at {before}: stages stand in the order of their dates");
                context.error(&places[index][1], "this stage is not later than the one before", hint);
            }
            StageFault::Falls(index) => {
                let (share, before) = (read[index].share, read[index - 1].share);
                let message = format!("this stage is at {share}, below the {before} of the one before");
                let hint = "that takes people back; if it is meant, write shrink = true on this stage";
                context.error(&places[index][0], message, hint);
            }
            StageFault::NothingShrinks(index) => {
                let before = read[..index].last().map_or(Share::NONE, |before| before.share);
                let message = format!("nothing shrinks here: {} follows {before}", read[index].share);
                let hint = "take `shrink` out: left there, it would consent to a later edit";
                context.error(&places[index][2], message, hint);
            }
        }
    }
    None
}
