//! The people of an environment and the roles they hold, as a plan freezes them.

use super::graph::{Person, Populace};
use crate::runbook::decode::Spanned;
use crate::runbook::environment::Environment;
use crate::runbook::scalar::Entries;

pub(super) fn of(environment: &Environment) -> Populace {
    let decl = &environment.decl;
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|text| text.value.clone());
    Populace {
        people: decl
            .people
            .iter()
            .flat_map(Entries::iter)
            .map(|(name, person)| {
                (name.value.clone(), Person { os_user: text(&person.os_user), ssh: text(&person.ssh) })
            })
            .collect(),
        roles: decl
            .roles
            .iter()
            .flat_map(Entries::iter)
            .map(|(role, people)| {
                (role.value.clone(), people.iter().map(|name| name.value.clone()).collect())
            })
            .collect(),
    }
}
