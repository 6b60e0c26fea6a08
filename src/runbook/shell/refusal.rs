//! Why a value cannot stand where it was written, and how to write it instead.

use std::ops::Range;

use super::SCRIPT_BYTES;
use super::reader::SHELLS;

/// Values in one script.
pub(super) const VALUES: usize = 500;

/// A value that cannot be made safe where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Its bytes in the script as written, braces included.
    pub at: Range<usize>,
    pub why: Refused,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("bash fills nothing in {0}")]
    Literal(&'static str),
    #[error("a value cannot stand in {0}")]
    Place(&'static str),
    #[error("a value cannot name {0}")]
    Names(&'static str),
    #[error("a value in {0} would be calculated, and calculating runs code")]
    Calculated(&'static str),
    #[error("`{0}` reads this as code, so no value may stand in it")]
    Code(String),
    #[error("`{0}` takes the names of variables here, and such a name can hold code")]
    Variable(String),
    #[error("a value that begins with `-` would be an option of `{0}`")]
    Option(String),
    #[error("a value cannot begin the name of a file that bash opens: `/dev/tcp/…` is a connection")]
    Opened,
    #[error("the script is not one that can be read as bash, so nothing can be put in safely")]
    Unreadable,
    #[error("what is filled in here could not be told from code")]
    Doubtful,
    #[error("more than {VALUES} values in one script")]
    TooMany,
    #[error("the script is longer than {SCRIPT_BYTES} bytes, the most that the system hands to a program")]
    TooLong,
}

impl Refused {
    /// Something else reads the value again.
    pub const fn is_second_reader(&self) -> bool {
        matches!(self, Self::Code(_))
    }

    /// How to write it.
    pub fn help(&self) -> Vec<String> {
        let named = "give it a name under `env:` and write \"$NAME\" where it is wanted".to_owned();
        match self {
            Self::Literal("single quotes") => vec![
                "take it out of the quotes: '…'{{ value }}'…', or write the text in double quotes".to_owned(),
                "a literal `{{` is written \"{{ '{{' }}\" there".to_owned(),
            ],
            Self::Literal("a comment") => vec!["take it out of the comment".to_owned()],
            Self::Literal(_) => vec!["write the text in double quotes".to_owned()],
            Self::Place("backquotes") => vec!["write $(…) instead of `…`".to_owned()],
            Self::Place("a here-document") => {
                vec!["print the text instead: printf '%s\\n' \"… {{ value }} …\" | …".to_owned(), named]
            }
            Self::Names("what is run") => {
                vec!["write the program out; for one of several, `case {{ value }} in`".to_owned()]
            }
            Self::Calculated(_) => vec![
                "compare with [ {{ value }} -eq 3 ], which takes numbers alone, or as text: [[ {{ value }} == 3 ]]"
                    .to_owned(),
                "calculate in the braces: {{ inputs.count + 1 }}".to_owned(),
            ],
            Self::Variable(name) if name == "declare" => {
                vec!["assign on a line of its own: NAME={{ value }}".to_owned()]
            }
            Self::Names(_) | Self::Variable(_) => vec!["write the name out".to_owned()],
            Self::Code(name) if !SHELLS.contains(&name.as_str()) => vec![format!(
                "hand the value over as `{name}` takes values: a variable or an argument of its own, or through `env:`"
            )],
            Self::Code(_) => vec![
                "hand the value over as an argument of its own: bash -c 'echo \"$1\"' bash {{ value }}"
                    .to_owned(),
                "or through `env:`, where the far side can read its environment".to_owned(),
            ],
            Self::Option(program) if program == "find" => {
                vec!["begin the word with something of your own: ./{{ value }}".to_owned()]
            }
            Self::Option(_) => vec![
                "put `--` in front of it, or begin the word with something of your own: ./{{ value }}"
                    .to_owned(),
            ],
            Self::Opened => vec!["begin with a folder: ./{{ value }}".to_owned()],
            Self::TooMany | Self::TooLong => {
                vec!["keep the script in a file, and call it with `argv`".to_owned()]
            }
            _ => vec![named],
        }
    }
}
