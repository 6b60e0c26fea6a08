//! What is there of a used runbook that may end early: whatever stands in front of each of its ends.

use super::Checker;
use super::names::may_be_absent;

/// Whether `target`, in the runbook that `used` puts in place, has succeeded wherever that has ended well.
pub(super) fn is_there(checker: &Checker<'_>, used: usize, target: usize) -> bool {
    let (flow, lists) = (&checker.flow, &checker.flow.lists);
    if !flow.is_only_ended_early(used) || flow.order().is_err() {
        return false;
    }
    let inside = (used + 1..flow.len()).take_while(|at| lists.belongs(*at, used));
    let ends = inside.filter(|at| flow.ends(*at) == Some(used));
    let mut ends = ends.peekable();
    ends.peek().is_some()
        && ends.all(|end| {
            let before = flow.is_plainly_upstream(end, target) || flow.are_upstream(&[(end, target)])[0];
            before && may_be_absent(checker, end, target).is_none()
        })
}
