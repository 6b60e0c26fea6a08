//! Ids out of the words of people.

use std::collections::BTreeSet;

/// Characters of an id that is made of a text.
const LONGEST: usize = 40;

/// An id of a runbook made of a text: `[a-z0-9-]+`; nothing when no letter or digit of it can be kept.
pub fn runbook_id(text: &str) -> Option<String> {
    let id = words(text).join("-");
    (!id.is_empty()).then_some(id)
}

/// Ids of steps, each `[a-z][a-z0-9_]*` and given once.
#[derive(Debug, Default)]
pub(super) struct StepIds {
    taken: BTreeSet<String>,
    /// The last number that was put behind a word.
    last: std::collections::BTreeMap<String, usize>,
}

impl StepIds {
    pub(super) fn of(&mut self, text: &str) -> String {
        let mut base = words(text).join("_");
        if !base.starts_with(|c: char| c.is_ascii_lowercase()) {
            base = if base.is_empty() { "step".to_owned() } else { format!("step_{base}") };
        }
        if self.taken.insert(base.clone()) {
            return base;
        }
        let last = self.last.entry(base.clone()).or_insert(1);
        loop {
            *last += 1;
            let id = format!("{base}_{last}");
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
    }
}

/// The words of a text in small ASCII letters and digits, as many whole ones as an id takes.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut length = 0;
    for c in text.chars().chain([' ']) {
        for c in c.to_lowercase() {
            match plain(c) {
                Some(plain) => word.push_str(plain),
                None if c.is_ascii_lowercase() || c.is_ascii_digit() => word.push(c),
                None if !word.is_empty() => {
                    length += word.len() + 1;
                    if length > LONGEST + 1 && !out.is_empty() {
                        return out;
                    }
                    word.truncate(LONGEST);
                    out.push(std::mem::take(&mut word));
                }
                None => {}
            }
        }
    }
    out
}

/// A letter of French and its neighbours without its accent. An accent that stands alone is left out.
const fn plain(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' => "a",
        'ç' => "c",
        'è' | 'é' | 'ê' | 'ë' => "e",
        'ì' | 'í' | 'î' | 'ï' => "i",
        'ñ' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' => "o",
        'ù' | 'ú' | 'û' | 'ü' => "u",
        'ý' | 'ÿ' => "y",
        'œ' => "oe",
        'æ' => "ae",
        'ß' => "ss",
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_are_carried_over() {
        let mut ids = StepIds::default();
        assert_eq!(ids.of("Vérifier l'état du cœur"), "verifier_l_etat_du_coeur");
        assert_eq!(ids.of("De\u{301}marrer ÇA"), "demarrer_ca");
        assert_eq!(runbook_id("Réactivation d'un Tenant").as_deref(), Some("reactivation-d-un-tenant"));
        assert_eq!(runbook_id("日本語"), None);
    }

    #[test]
    fn ids_are_given_once() {
        let mut ids = StepIds::default();
        let all: Vec<String> =
            ["Stop", "stop!", "stop 2", "stop", "日本", "", "3 x"].map(|t| ids.of(t)).into();
        assert_eq!(all, ["stop", "stop_2", "stop_2_2", "stop_3", "step", "step_2", "step_3_x"]);
    }

    #[test]
    fn ids_end_with_a_whole_word() {
        let id = StepIds::default().of("Contrôler que tous les utilisateurs du tenant sont bloqués partout");
        assert_eq!(id, "controler_que_tous_les_utilisateurs_du");
        assert!(StepIds::default().of(&"x".repeat(500)).len() == LONGEST);
    }
}
