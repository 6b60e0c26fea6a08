//! Who is at this process: the user that the system says it runs as, as the run knows him.

use nix::unistd::{Uid, User};

use crate::core::{Actor, How};
use crate::plan::Populace;

/// Name of the user of this process, as the system knows it: never from a variable that anybody may set.
pub fn os_user() -> String {
    user_of(Uid::effective().as_raw())
}

/// As [`os_user`], from the list of users on this machine alone: no service of names is asked.
pub fn local_user() -> String {
    let uid = Uid::effective().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid-{uid}"))
}

/// Name of the user of that number.
pub fn user_of(uid: u32) -> String {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => user.name,
        _ => format!("uid-{uid}"),
    }
}

/// The person with that user name in the environment, or `os:NAME`, who holds no role.
pub fn actor(people: &Populace, user: &str) -> Actor {
    let person = people.people.iter().find(|(_, person)| person.os_user.as_deref() == Some(user));
    let who = person.map_or_else(|| format!("os:{user}"), |(name, _)| name.clone());
    Actor { who, how: How::OsUser, played_by: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Person;

    #[test]
    fn a_user_is_a_person_only_where_the_environment_says_so() {
        let mut people = Populace::default();
        people.people.insert("alice".into(), Person { os_user: Some("al".into()), ssh: None });
        assert_eq!(actor(&people, "al").who, "alice");
        assert_eq!(actor(&people, "alice").who, "os:alice");
    }

    #[test]
    fn the_user_of_this_process_has_a_name() {
        assert!(!os_user().is_empty());
        assert!(!local_user().is_empty());
    }
}
