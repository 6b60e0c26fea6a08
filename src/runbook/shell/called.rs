//! Which programs a script or an argv visibly calls, and which cluster it points them at. What a second shell is handed
//! is not looked into: it stands in the text that is shown.

use super::reader::WORDS;
use super::tree;
use super::word::{Piece, Word};
use super::wrapper::{self, programs};

/// A program that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    /// Its name, without a path.
    pub program: String,
    /// For a program that talks to a Kubernetes cluster.
    pub cluster: Option<Pointed>,
}

/// How a program is pointed at something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pointed {
    /// It is not: it takes what is current where it runs.
    Current,
    Named(String),
    /// By what a variable holds.
    Variable(String),
    /// By something that is known only when it runs.
    Later,
}

const CLUSTER: [&str; 8] = ["kubectl", "oc", "helm", "helmfile", "flux", "velero", "istioctl", "stern"];
const OPTIONS: [&str; 2] = ["--context", "--kube-context"];

/// The programs of a script, in the order of its text.
pub fn called_by_script(text: &str) -> Vec<Called> {
    let Some(tree) = tree::parse(text) else { return Vec::new() };
    tree::commands(tree.root_node(), text).iter().flat_map(|command| called_by(&command.words)).collect()
}

/// The program of an argv, and those that it runs in its turn.
pub fn called_by(words: &[Word]) -> Vec<Called> {
    let words = &words[..words.len().min(WORDS)];
    let all = programs(words);
    let program = |(nth, at): (usize, &usize)| {
        let name = words[*at].program()?;
        let own = &words[at + 1..all.get(nth + 1).copied().unwrap_or(words.len())];
        // What stands behind `sudo` and its kin counts in their stead.
        let counts = !wrapper::is_wrapper(&name) || nth + 1 == all.len();
        let cluster = CLUSTER.contains(&name.as_ref()).then(|| pointed(own));
        counts.then_some(Called { program: name.into_owned(), cluster })
    };
    all.iter().enumerate().filter_map(program).collect()
}

fn pointed(words: &[Word]) -> Pointed {
    for (at, word) in words.iter().enumerate() {
        if word.is("--") {
            break;
        }
        if word.is_one_of(&OPTIONS) {
            return words.get(at + 1).map_or(Pointed::Later, |word| of(&word.pieces));
        }
        let beginning =
            |option: &&&str| word.start().strip_prefix(**option).is_some_and(|rest| rest.starts_with('='));
        if let Some(option) = OPTIONS.iter().find(beginning) {
            let mut pieces = word.pieces.clone();
            if let Some(Piece::Text(text)) = pieces.first_mut() {
                text.drain(..=option.len());
            }
            pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.is_empty()));
            return of(&pieces);
        }
    }
    Pointed::Current
}

fn of(pieces: &[Piece]) -> Pointed {
    match pieces {
        [Piece::Text(name)] => Pointed::Named(name.clone()),
        [Piece::Open(open)] => open.name.clone().map_or(Pointed::Later, Pointed::Variable),
        _ => Pointed::Later,
    }
}

/// Builtins and keywords: nothing that is there to be started.
pub fn is_builtin(name: &str) -> bool {
    const BUILTINS: [&str; 31] = [
        ":", ".", "[", "[[", "alias", "break", "cd", "continue", "declare", "echo", "eval", "exec", "exit",
        "export", "false", "getopts", "hash", "local", "printf", "pwd", "read", "readonly", "return", "set",
        "shift", "source", "test", "trap", "true", "unset", "wait",
    ];
    BUILTINS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(String, Option<Pointed>)> {
        called_by_script(text).into_iter().map(|called| (called.program, called.cluster)).collect()
    }

    #[test]
    fn a_script_names_its_programs_and_the_clusters_they_are_pointed_at() {
        let named = |name: &str| Some(Pointed::Named(name.to_owned()));
        assert_eq!(
            told(
                "sudo /usr/bin/kubectl --context prod get pods | jq -r .x\nhelm --kube-context=\"$CTX\" list"
            ),
            [
                ("kubectl".to_owned(), named("prod")),
                ("jq".to_owned(), None),
                ("helm".to_owned(), Some(Pointed::Variable("CTX".to_owned()))),
            ]
        );
        assert_eq!(told("kubectl get pods"), [("kubectl".to_owned(), Some(Pointed::Current))]);
        assert_eq!(
            told("kubectl --context a$(b) get"),
            [("kubectl".to_owned(), Some(Pointed::Later)), ("b".to_owned(), None)]
        );
        assert_eq!(
            told("kubectl exec pod -- psql --context x"),
            [("kubectl".to_owned(), Some(Pointed::Current)), ("psql".to_owned(), None)]
        );
        assert_eq!(told("x=1"), []);
    }
}
