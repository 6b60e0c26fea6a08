//! What must hold for groups, lists, rounds and reverts, each rule by itself and with no code of the core (language
//! rules 8, 10, 17, 18).

use std::collections::BTreeSet;

use consigne::core::event::SkipReason;
use consigne::core::*;
use consigne::plan::*;

use crate::checkers::ensure;
use crate::model::{Inside, Model, keys_of, place_of};
use crate::places::{Place, id_of, loops};

/// Whose turn it is to reverse something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    Run,
    Group(String),
    Revert,
}

/// It has its turn by this event, for the first time.
fn begins(model: &Model<'_>, event: &Event) -> bool {
    let Some((_, seen)) = model.seen(event) else { return false };
    let begins = match &event.fact {
        Fact::AttemptStarted { role, .. } => !matches!(role, Role::Undo | Role::PutBack | Role::OnlyIf),
        Fact::AskOpened { kind, .. } => *kind != AskKind::PutBack,
        Fact::StepEntered {} | Fact::WaitStarted { .. } | Fact::StepImported { .. } => true,
        Fact::StepSettled { .. } => true,
        Fact::StepSkipped { reason, .. } => *reason == SkipReason::When,
        _ => false,
    };
    begins && !seen.begun
}

/// Nothing of a group, a list or a round begins before it, or after it is over.
pub fn inside(model: &Model<'_>, event: &Event) -> Result<(), String> {
    if !begins(model, event) {
        return Ok(());
    }
    let Some(place) = place_of(event).map(|name| model.place(&name)) else { return Ok(()) };
    let mut handles = place.handles;
    for owner in model.places.around(&place.name) {
        let seen = &model.steps[&owner.name];
        ensure(seen.entered, "what it belongs to was not entered")?;
        ensure(seen.settled.is_none(), "what it belongs to is over")?;
        ensure(!handles || seen.handling, "nothing has failed that it is for")?;
        handles = owner.handles;
    }
    ensure(ended(model, place).is_none(), "the used runbook that it stands in has ended")
}

/// The `end` after which nothing more of the list of a step begins: that of the used runbook around it.
pub fn ended(model: &Model<'_>, place: &Place) -> Option<EndStatus> {
    let owner = place.owner.as_ref().filter(|_| !place.handles && place.nth.is_none())?;
    ended_group(model, owner)
}

fn ended_group(model: &Model<'_>, group: &str) -> Option<EndStatus> {
    let ends = model.places.all.values().filter(|place| place.node.ends.is_some());
    let mut over = ends
        .filter(|end| model.steps[&end.name].settled.is_some_and(|(status, _)| status == Status::Succeeded));
    let found = over.find(|end| {
        let around = model.places.around(&end.name);
        let upto = around.iter().position(|owner| Some(id_of(&owner.name)) == end.node.ends.as_deref());
        around.iter().take(upto.map_or(0, |upto| upto + 1)).any(|owner| owner.name == group)
    });
    found.and_then(|end| end.node.end)
}

/// How many items may fail before the list stops; of gates none may stay shut.
fn allowed(model: &Model<'_>, whole: &Place) -> usize {
    let share = whole.node.each.as_ref().and_then(|each| each.max_failures);
    let share = share.filter(|_| !matches!(whole.node.kind, Kind::Approve | Kind::Confirm));
    share.map_or(0, |share| share.of(model.steps[&whole.name].targets))
}

/// More items of the list of this one have failed than may.
pub fn has_stopped(model: &Model<'_>, item: &Place) -> bool {
    let whole = item.owner.as_ref().filter(|_| item.nth.is_some()).map(|whole| model.place(whole));
    let whole = whole.filter(|whole| whole.node.each.is_some());
    whole.is_some_and(|whole| model.failed_items(&whole.name).len() > allowed(model, whole))
}

/// Lists: read once, with different names, as long as they may be; the items as many at once as may be, the first
/// before the others, and none when too many have failed; what is done again is what failed (rule 17).
pub fn lists(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some(place) = place_of(event).map(|name| model.place(&name)) else { return Ok(()) };
    let seen = &model.steps[&place.name];
    match (&event.fact, &place.node.each) {
        (Fact::StepExpanded { items }, Some(each)) => {
            let keys = keys_of(event);
            ensure(keys.len() == *items as usize, "as many names as items")?;
            let different: BTreeSet<&String> = keys.iter().collect();
            ensure(different.len() == keys.len(), "two items have the same name")?;
            ensure(each.max_targets.is_none_or(|most| *items <= most), "more items than may be")?;
            if seen.batches == 0 {
                return Ok(());
            }
            ensure(seen.granted > seen.heeded, "the list was read before, and nobody asked to try again")?;
            let failed: BTreeSet<&String> =
                failed_begun(model, &place.name).into_iter().filter_map(|item| item.key.as_ref()).collect();
            ensure(failed == different, "not what has failed is done again")
        }
        (Fact::WaitStarted { due }, Some(each)) => {
            let soak = each.canary.and_then(|canary| canary.soak_ms).ok_or("it does not wait")?;
            ensure(*due >= model.now.plus(soak), "the first items are watched too shortly")
        }
        (Fact::StepReleased { .. }, Some(_)) => {
            ensure(seen.entered && seen.batches > 0 && seen.settled.is_none(), "its turn has not come")
        }
        _ if place.nth.is_some() && begins(model, event) => item_begins(model, place),
        _ => Ok(()),
    }
}

fn failed_begun<'m>(model: &'m Model<'_>, whole: &str) -> Vec<&'m Place> {
    let begun = |place: &&Place| model.steps[&place.name].begun || model.steps[&place.name].settled.is_some();
    model.failed_items(whole).into_iter().filter(begun).collect()
}

fn item_begins(model: &Model<'_>, item: &Place) -> Result<(), String> {
    let whole = model.place(item.owner.as_deref().unwrap_or_default());
    let Some(each) = &whole.node.each else { return Ok(()) };
    let seen = &model.steps[&whole.name];
    ensure(seen.released > 0, "it was not released")?;
    let under_way = model.places.items(&whole.name).filter(|other| {
        let seen = &model.steps[&other.name];
        other.name != item.name && seen.begun && seen.settled.is_none()
    });
    ensure(under_way.count() < each.max_parallel.max(1) as usize, "too many items at once")?;
    ensure(!has_stopped(model, item), "too many items have failed")?;
    let Some(canary) = each.canary.filter(|canary| item.nth.unwrap_or(0) >= canary.count as usize) else {
        return Ok(());
    };
    let newest = model.places.newest(&whole.name);
    let first = newest.values().filter(|other| other.nth.unwrap_or(0) < canary.count as usize);
    let over = first.into_iter().all(|other| model.steps[&other.name].settled.is_some());
    // Once the others were let go, what failed of all is done again together.
    let others =
        model.places.items(&whole.name).filter(|other| other.nth.unwrap_or(0) >= canary.count as usize);
    let passed = others.into_iter().any(|other| model.steps[&other.name].begun);
    ensure(over || passed, "the first items are not done")?;
    let asked = model.asks.values().rfind(|ask| ask.step == whole.name && ask.kind == AskKind::Canary);
    let yes = asked.is_some_and(|ask| {
        ask.end == Some(AskEnd::Answered)
            && ask.answers.last().is_some_and(|(.., said)| *said == Decision::Yes)
    });
    ensure(!canary.ask || yes, "nobody said to go on after the first items")?;
    ensure(canary.soak_ms.is_none() || seen.soaked, "the first items were not watched long enough")
}

/// Rounds come one after the other, while `until` is false and as often as is allowed (rule 18).
pub fn rounds(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some(place) = place_of(event).map(|name| model.place(&name)) else { return Ok(()) };
    let Some(repeat) = place.node.repeat else { return Ok(()) };
    let seen = &model.steps[&place.name];
    let last = model.places.items(&place.name).next_back();
    let until =
        model.plan.values.steps.get(id_of(&place.name)).and_then(|values| values.repeat_until.as_ref());
    let holds = last.zip(until).is_some_and(|(last, until)| {
        let names = Inside { model, frame: last.frame.clone() };
        until.holds(&names).unwrap_or(false)
    });
    match &event.fact {
        Fact::StepExpanded { items } => {
            ensure(*items == 1 && seen.entered && seen.settled.is_none(), "its turn has not come")?;
            let most = repeat.max.max(1).saturating_mul(seen.granted + 1);
            ensure(seen.batches < most, "more rounds than may be")?;
            let Some(last) = last else { return Ok(()) };
            ensure(model.steps[&last.name].settled.is_some(), "the round before is not over")?;
            let well = model.satisfied(&last.node);
            ensure(!(well && holds), "it is as it is to be")?;
            let rejected = matches!(model.steps[&last.name].settled, Some((Status::Rejected, _)));
            ensure(well || rejected || seen.granted > seen.heeded, "the round before failed")?;
            ensure(repeat.every_ms.is_none() || seen.soaked, "the time between two rounds is not over")
        }
        Fact::WaitStarted { due } => {
            let every = repeat.every_ms.ok_or("it does not wait")?;
            ensure(*due >= model.now.plus(every), "too short a time between two rounds")
        }
        Fact::StepSettled { status: Status::Succeeded, .. } => {
            let last = last.ok_or("there was no round")?;
            ensure(model.satisfied(&last.node), "the last round has failed")?;
            ensure(holds, "it is not as it is to be")
        }
        _ => Ok(()),
    }
}

/// What a group came to: whether it failed, and whether a gate in it was not opened.
pub fn came_to(model: &Model<'_>, group: &str) -> (bool, bool) {
    let (node, seen) = (model.node(group), &model.steps[group]);
    let fails = |handles: bool| model.places.list(Some(group), handles).any(|step| model.counts(&step.node));
    let rejected = [false, true].into_iter().flat_map(|handles| model.places.list(Some(group), handles));
    let shut = |step: &&Place| matches!(model.steps[&step.name].settled, Some((Status::Rejected, _)));
    let handled = seen.handling && node.group.is_some_and(|group| group.then_continue);
    let failed = if handled { fails(true) } else { fails(false) || fails(true) };
    let ended = node.used.is_some() && ended_group(model, group) == Some(EndStatus::Failed);
    (failed || seen.unclean || ended, rejected.into_iter().any(|step| shut(&step)))
}

fn all_over(model: &Model<'_>, owner: &str, handles: bool) -> bool {
    model.places.list(Some(owner), handles).all(|step| model.steps[&step.name].settled.is_some())
}

/// A group, a list or rounds end after what they are made of, and never better; handlers begin after a failure that
/// counts (rule 8).
pub fn groups(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let Some(place) = place_of(event).map(|name| model.place(&name)) else { return Ok(()) };
    let (seen, node) = (&model.steps[&place.name], &place.node);
    if !(place.whole || node.kind == Kind::Group) {
        return Ok(());
    }
    let items = || model.places.items(&place.name);
    match &event.fact {
        Fact::StepEntered {} => ensure(!seen.entered && seen.settled.is_none(), "it was entered before"),
        Fact::StepHandling {} => {
            ensure(seen.entered && !seen.handling && seen.settled.is_none(), "its turn has not come")?;
            let failed = items().any(|step| model.counts(&step.node));
            ensure(failed && all_over(model, &place.name, false), "nothing has failed, or not all is over")
        }
        Fact::StepSettled { status, .. } if seen.entered => {
            let open = items()
                .any(|step| model.steps[&step.name].begun && model.steps[&step.name].settled.is_none());
            ensure(!open, "something of it is under way")?;
            ensure(place.whole || all_over(model, &place.name, false), "something of it is not over")?;
            ensure(
                !seen.handling || all_over(model, &place.name, true),
                "it is still dealing with a failure",
            )?;
            let (failed, rejected) = came_to(model, &place.name);
            match status {
                Status::Succeeded if node.each.is_some() => {
                    ensure(all_over(model, &place.name, false), "some items were not done")?;
                    let failed = model.failed_items(&place.name).len();
                    ensure(failed <= allowed(model, place), "too many items have failed")
                }
                Status::Succeeded if node.repeat.is_some() => Ok(()),
                Status::Succeeded => ensure(!failed && !rejected, "it is better than its steps"),
                Status::Rejected if !place.whole => ensure(rejected, "no gate of it was shut"),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// A group deals with what it has switched before it is over, and a revert with what it names (rule 10).
pub fn scopes(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let over = match &event.fact {
        Fact::StepSettled { .. } => true,
        Fact::StepOverridden { how } => *how != event::Override::Retry,
        _ => false,
    };
    let Some(place) = place_of(event).map(|name| model.place(&name)).filter(|_| over) else { return Ok(()) };
    let cut_off = model.ending.is_some() && place.node.section == Section::Main;
    let open = |toggle: &&crate::model::Toggle| {
        toggle.closed.is_none()
            && toggle.kind == Reversal::PutBack
            && toggle.scope.as_ref() == Some(&place.name)
    };
    if let Some(toggle) = model.toggles.iter().find(open).filter(|_| !cut_off) {
        return Err(format!("{} is still switched", toggle.step));
    }
    let done = matches!(event.fact, Fact::StepSettled { status: Status::Succeeded, .. });
    if place.node.kind == Kind::Revert && done {
        let named = named(model, place);
        let left =
            model.toggles.iter().find(|toggle| toggle.closed.is_none() && named.contains(&toggle.step));
        return left.map_or(Ok(()), |toggle| Err(format!("{} is not reversed", toggle.step)));
    }
    Ok(())
}

/// The places that a revert names.
fn named(model: &Model<'_>, revert: &Place) -> BTreeSet<String> {
    let named = revert.node.reverts.iter().filter_map(|step| model.resolve(step, &revert.frame));
    named.map(|node| node.id.clone()).collect()
}

/// Whether, and why, the open reversal of a step may run now: the newest of the run as it unwinds, of a group that is
/// through, or of what a revert names.
pub fn due(model: &Model<'_>, step: &str, kind: Reversal) -> Option<Due> {
    let own = |toggle: &crate::model::Toggle| toggle.step == step && toggle.kind == kind;
    let finally = model.node(step).section == Section::Finally;
    let is_finally = |name: &str| model.node(name).section == Section::Finally;
    let mains = model.toggles.iter().filter(|toggle| !is_finally(&toggle.step));
    let main_open = mains.into_iter().any(|toggle| toggle.closed.is_none());
    let over = |section| {
        let all = model.places.all.values().filter(|place| place.node.section == section);
        all.into_iter().all(|place| model.steps[&place.name].settled.is_some())
    };
    let unwinding = model.ending.is_some()
        && over(Section::Main)
        && if finally { over(Section::Finally) && !main_open } else { main_open };
    if unwinding {
        return model.top().filter(|top| own(top)).map(|_| Due::Run);
    }
    let turn = if finally { model.ending.is_some() && over(Section::Main) } else { model.ending.is_none() };
    if !turn || model.steps[step].settled.is_none() {
        return None;
    }
    let open = || model.toggles.iter().filter(|toggle| toggle.closed.is_none());
    let active = model.places.all.values().filter(|place| {
        let seen = &model.steps[&place.name];
        place.node.kind == Kind::Revert && seen.entered && seen.settled.is_none()
    });
    for revert in active {
        let named = named(model, revert);
        if open().rfind(|toggle| named.contains(&toggle.step)).is_some_and(own) {
            return Some(Due::Revert);
        }
    }
    let scope = model.places.scope(step).filter(|_| kind == Reversal::PutBack)?;
    let of_scope = |toggle: &&crate::model::Toggle| {
        toggle.kind == Reversal::PutBack && toggle.scope.as_ref() == Some(&scope)
    };
    let seen = &model.steps[&scope];
    let handlers = model.node(&scope).group.is_some_and(|group| group.handlers);
    let failed = model.places.list(Some(&scope), false).any(|step| model.counts(&step.node));
    let through = seen.entered
        && seen.settled.is_none()
        && all_over(model, &scope, false)
        && (!seen.handling || all_over(model, &scope, true))
        && (seen.handling || !(handlers && failed));
    let newest = open().rfind(of_scope).is_some_and(own);
    (through && newest).then_some(Due::Group(scope))
}

/// An approval shows and binds the items of every list behind it that can be read by then: those lists are laid out
/// in the entry that opens it (rule 17). Only lists that are sure to be good are looked at.
pub fn ahead(model: &Model<'_>, event: &Event) -> Result<(), String> {
    let (Fact::AskOpened { kind: AskKind::Approve, .. }, Some((node, _))) = (&event.fact, model.seen(event))
    else {
        return Ok(());
    };
    let graph = &model.plan.graph;
    let gate = model.place(&node.id);
    for name in node.gate.iter().flat_map(|gate| &gate.covers) {
        let Some(step) = graph.steps.iter().find(|step| step.id == *name) else { continue };
        let around = loops(graph, step);
        let own = (step.each.is_some()).then(|| step.id.clone());
        for whole in around.iter().chain(&own) {
            let Some(place) = model.places.resolve(graph, whole, &gate.frame) else { continue };
            let seen = &model.steps[&place.name];
            let Some(each) = &place.node.each else { continue };
            let list = model.plan.values.steps.get(whole).and_then(|values| values.each.as_ref());
            let good = list.is_some_and(|list| {
                list.key.is_none() && matches!(list.items.source(), "inputs.names" | "inputs.one")
            });
            let short = each.max_targets.is_none_or(|most| most >= 3);
            if good && short && seen.batches == 0 && seen.settled.is_none() {
                return Err(format!("the list of {} could be read, and was not", place.name));
            }
        }
    }
    Ok(())
}
