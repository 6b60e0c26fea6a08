//! A choice of a list: numbers, ids or what only one id begins with, until they fit.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Break, Dialog, Offer, Said};
use crate::operator::wording::Text;

pub(super) fn said(dialog: &mut Dialog<'_>) -> Result<Said, Break> {
    let q = dialog.q;
    let prompt = dialog.text(match (q.is_numbered(), q.many.is_some()) {
        (true, false) => Text::WhichOne,
        (true, true) => Text::WhichMany,
        (false, _) => Text::WhichIds,
    });
    let ids = q.options.iter().map(|option| option.id.clone()).collect();
    let offer = if q.many.is_some() { Offer::Several(ids) } else { Offer::Words(ids) };
    loop {
        let typed = dialog.line(prompt, &offer)?;
        let Some(picked) = picked(dialog, &typed) else { continue };
        let ids: Vec<&str> = picked.iter().map(|at| q.options[*at].id.as_str()).collect();
        let value = if q.many.is_some() { json!(ids) } else { json!(ids.first()) };
        return Ok(Said { value, comment: dialog.reason(false)?, ..Said::default() });
    }
}

/// The positions that were typed, or an explanation.
fn picked(dialog: &mut Dialog<'_>, typed: &str) -> Option<BTreeSet<usize>> {
    let q = dialog.q;
    let ids: Vec<Vec<&str>> = q.options.iter().map(|option| vec![option.id.as_str()]).collect();
    let find = |word: &str| q.options.iter().position(|option| option.id == word);
    // An id may hold white space and commas: what is typed is looked up as a whole first.
    let words: Vec<&str> = match q.many {
        Some(_) if find(typed).is_none() => typed.split([' ', ',']).filter(|word| !word.is_empty()).collect(),
        _ => vec![typed],
    };
    let mut picked = BTreeSet::new();
    for word in words {
        let number = word.trim_end_matches('.').parse::<usize>().ok().filter(|_| q.is_numbered());
        let numbered = number.and_then(|number| number.checked_sub(1)).filter(|at| *at < q.options.len());
        let at = match find(word).or(numbered) {
            Some(at) => at,
            None => dialog.found(word, &ids)?,
        };
        if !picked.insert(at) {
            dialog.explain(Text::NamedTwice, &[("word", word)]);
            return None;
        }
    }
    let least = q.many.map_or(1, |many| many.min as usize);
    let most = q.many.map_or(1, |many| many.max.map_or(q.options.len(), |max| max as usize));
    if picked.len() < least || picked.len() > most {
        let wanted = q.how_many().unwrap_or_else(|| "1".to_owned());
        dialog.explain(Text::HowMany, &[("count", &picked.len().to_string()), ("wanted", &wanted)]);
        return None;
    }
    Some(picked)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::sample::{World, choice};
    use super::super::tests::{taken, typed};
    use crate::plan::{ManyNode, Mode};

    const COLOURS: [(&str, &str); 3] = [("red", "Rouge"), ("green", "Vert"), ("grey", "Gris")];

    #[test]
    fn one_is_chosen_by_number_or_by_what_only_its_id_begins_with() {
        for (lines, id) in [(["2", ""], "green"), (["gree", ""], "green"), (["grey", ""], "grey")] {
            let mut world = World::new(Mode::Live, false, "en", vec![choice("c", &COLOURS, None)]);
            let (answer, _) = typed(&world, "alice", &lines);
            assert_eq!(answer.value, json!(id));
            taken(&mut world, answer);
        }
        let world = World::new(Mode::Live, false, "en", vec![choice("c", &COLOURS, None)]);
        let (_, read) = typed(&world, "alice", &["", "gr", "4", "1 2", "1", "mine"]);
        for why in ["an answer is needed: red, green, grey", "could be green, grey", "\"4\" is no answer"] {
            assert!(read.contains(why), "{why} in {read}");
        }
    }

    #[test]
    fn many_are_chosen_by_numbers_and_ids_and_counted() {
        let many = Some(ManyNode { min: 2, max: Some(2) });
        let mut world = World::new(Mode::Live, false, "fr", vec![choice("c", &COLOURS, many)]);
        let (answer, read) = typed(&world, "alice", &["1", "1 red", "1,2,3", "grey 1", ""]);
        assert_eq!(answer.value, json!(["red", "grey"]), "in the order of the list");
        assert!(read.contains("1 choisis, attendu : exactement 2"), "{read}");
        assert!(read.contains("nommé deux fois") && read.contains("3 choisis"), "{read}");
        taken(&mut world, answer);
    }

    #[test]
    fn none_is_an_answer_where_none_is_needed() {
        let many = Some(ManyNode { min: 0, max: None });
        let mut world = World::new(Mode::Live, false, "en", vec![choice("c", &COLOURS, many)]);
        let (answer, _) = typed(&world, "alice", &["", ""]);
        assert_eq!(answer.value, json!([]));
        taken(&mut world, answer);
    }

    #[test]
    fn an_id_that_is_a_number_is_no_position() {
        let ports = [("2", "The second"), ("1", "The first")];
        let world = World::new(Mode::Live, false, "en", vec![choice("c", &ports, None)]);
        let (answer, read) = typed(&world, "alice", &["1", ""]);
        assert_eq!(answer.value, json!("1"));
        assert!(read.contains("id (several"), "{read}");
    }
}
