//! Who is told about open questions, besides those who sit at the prompt.
//!
//! Best effort of the driver, like a reminder: no step waits for it and no gate opens or closes by it. What became of
//! it is noted in the journal. Level-triggered: a driver that takes over a run tells again whoever has not been told,
//! which the side file of the messages knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::core::{AttemptResult, Outcome, State, notice::notice};
use crate::plan::Plan;
use crate::runner::{RunContext, Runners, SENT_BEFORE, TailSink, cancellation};

/// What became of a message.
pub(super) struct Report {
    /// Id of the step that asks.
    pub step: String,
    pub escalated: bool,
    pub reached: bool,
    /// Channel by channel, or why there was nothing to send.
    pub lines: String,
}

pub(super) struct Messengers {
    begun: BTreeSet<(u32, bool)>,
    under_way: usize,
    reports: mpsc::UnboundedReceiver<Report>,
    sink: mpsc::UnboundedSender<Report>,
}

impl Messengers {
    pub(super) fn new() -> Self {
        let (sink, reports) = mpsc::unbounded_channel();
        Self { begun: BTreeSet::new(), under_way: 0, reports, sink }
    }

    /// Sends what has to be sent about the questions that are open now.
    pub(super) fn look(
        &mut self,
        asks: &BTreeSet<u32>,
        (plan, state): (&Plan, &State),
        runners: &Arc<Runners>,
        context: &Arc<RunContext>,
    ) {
        for id in asks {
            let escalated = state.ask(*id).is_some_and(|ask| ask.escalated);
            for moment in [false, true] {
                if (moment && !escalated) || !self.begun.insert((*id, moment)) {
                    continue;
                }
                let Some(request) = notice(plan, state, *id, moment) else { continue };
                let step = state.ask(*id).map_or("", |ask| &state.shape().node(ask.step).id).to_owned();
                self.under_way += 1;
                let (runners, context, sink) = (runners.clone(), context.clone(), self.sink.clone());
                tokio::spawn(async move {
                    let report = |reached, lines| Report { step, escalated: moment, reached, lines };
                    let report = match request {
                        Ok(request) => {
                            let (_stop, told) = cancellation();
                            let outcome = runners.run(request, &context, told, TailSink::none()).await;
                            report(outcome.result == AttemptResult::Succeeded, lines(&outcome))
                        }
                        Err(error) => report(false, error.to_string()),
                    };
                    // The driver may be gone: whoever drives the run next looks again.
                    let _gone = sink.send(report);
                });
            }
        }
    }

    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way > 0
    }

    pub(super) async fn next(&mut self) -> Option<Report> {
        let report = self.reports.recv().await?;
        self.under_way -= 1;
        Some(report)
    }
}

impl Report {
    /// Somebody was told, or could not be, in this process.
    pub(super) fn is_news(&self) -> bool {
        !self.lines.lines().all(|line| line.ends_with(SENT_BEFORE))
    }
}

fn lines(outcome: &Outcome) -> String {
    let text = outcome.excerpts.get("body").or_else(|| outcome.excerpts.get("error"));
    text.cloned().unwrap_or_else(|| outcome.reason.clone())
}
