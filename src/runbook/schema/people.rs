//! What a step asks people: gates, forms, checklists, work done outside.

use super::InputDecl;
use super::calls::ProbeDecl;
use crate::runbook::decode::{Spanned, record, words};
use crate::runbook::scalar::{Condition, Entries, Millis, Text};
use crate::runbook::template::Template;

record! {
    /// A yes-or-no gate.
    pub struct Confirm {
        /// A word that must be typed instead of yes.
        may typed: Spanned<Template>,
        /// What a no does.
        may on_reject: RejectWord,
    }
}

record! {
    /// A gate that several people open.
    pub struct Approve {
        /// Roles whose members may approve.
        must roles: Spanned<Vec<Spanned<String>>>,
        /// How many of them it takes.
        may quorum: Spanned<u32>,
        /// `starter` (by default), or `steps.x`: whoever answered x may not.
        may exclude: Vec<Spanned<String>>,
        /// How long it stays open.
        may timeout: Spanned<Millis>,
        /// What follows then; never that it opens.
        may on_timeout: Spanned<TimeoutWord>,
        /// Roles that may approve after the first time-out.
        may escalate_to: Vec<Spanned<String>>,
        /// Steps whose requests it binds; by default every one with an effect up to the next gate.
        may covers: Vec<Spanned<String>>,
        /// What a rejection does.
        may on_reject: RejectWord,
        /// Who may open it alone, with a reason, when nobody comes.
        may break_glass: GlassDecl,
        /// Tells those who may approve as soon as it opens, where the environment says how to reach them.
        may notify: bool,
        /// An expression without braces about one `target`: what a destructive request that it binds is given and that
        /// is decided later has to satisfy it. A name of an item may be read too, and what is known before the run.
        may filter: Condition,
        /// So many destructive targets may go through one approval; for more it is asked for again.
        may max_targets: Spanned<u32>,
    }
}

record! {
    /// Opening an approval alone. It stands on a line of its own in the report, and in `list` until it is reviewed.
    pub struct GlassDecl {
        /// Roles whose members may, with a reason. Exclusions of the gate do not hold for them.
        must roles: Spanned<Vec<Spanned<String>>>,
        /// Not before the question has been open for so long; `0s`: at once.
        must after: Spanned<Millis>,
        /// Who looks at it afterwards.
        must review: ReviewDecl,
    }
}

record! {
    /// The look that somebody else takes at it afterwards.
    pub struct ReviewDecl {
        /// Roles whose members may review it; never whoever broke the glass.
        must roles: Spanned<Vec<Spanned<String>>>,
        /// How long they have until it is called overdue.
        must within: Spanned<Millis>,
    }
}

record! {
    /// A message to people: a `template`, or `subject` and `text`.
    pub struct NotifyDecl {
        /// Whom: `owners`, or names of contacts, roles and people of the environment.
        must to: Spanned<Vec<Spanned<String>>>,
        /// Only the first of them who can be reached, in this order; else all.
        may first: bool,
        /// Name of a template: `templates/NAME.fr.txt` and `.en.txt` beside the runbook or above it, or one of ours.
        may template: Spanned<String>,
        /// What it is about, in one line.
        may subject: Text,
        /// What it says.
        may text: Text,
    }
}

record! {
    /// A form that a person fills in.
    pub struct Form {
        /// What is asked, like `inputs`.
        must fields: Entries<InputDecl>,
    }
}

record! {
    /// One or many of a list. What was chosen is read as `steps.ID.answer`: an id, or with `many` a list of ids.
    pub struct ChoiceDecl {
        /// The list as it stands, each with an id and what people read.
        may options: Spanned<Vec<OptionDecl>>,
        /// The list as an earlier step gave it: an expression without braces. It is read once, when the question opens.
        may from: Condition,
        /// With `from`: an expression for the id of each entry, which is called `item`, such as `item.id`.
        may id: Condition,
        /// With `from`: an expression for what people read of each entry, such as `item.name`; else its id.
        may label: Condition,
        /// Several may be chosen: how many at least and at most.
        may many: ManyDecl,
    }
}

record! {
    /// One option of a choice.
    pub struct OptionDecl {
        /// What is answered: no white space, no comma.
        must id: Spanned<String>,
        /// What people read.
        must text: Text,
    }
}

record! {
    /// How many of a list may be chosen.
    pub struct ManyDecl {
        /// At least so many; 1 unless it says so.
        may min: Spanned<u32>,
        /// At most so many; all unless it says so.
        may max: Spanned<u32>,
    }
}

record! {
    /// Points that are proven by probes or ticked by people.
    pub struct Checklist {
        /// Whether people do first and then confirm, or read each point and do it.
        may mode: ModeWord,
        /// The points.
        must items: Spanned<Vec<ItemDecl>>,
    }
}

record! {
    /// One point of a checklist.
    pub struct ItemDecl {
        /// Name of the point.
        must id: Spanned<String>,
        /// What must be so.
        must text: Text,
        /// What proves it; without one, a person ticks it.
        may probe: Box<ProbeDecl>,
        /// Whether ticking it, or overruling its probe, needs a file.
        may evidence: EvidenceWord,
        /// What has to be typed back for it to be ticked: a value that the point shows, or says where to read.
        may read_back: Spanned<Template>,
    }
}

record! {
    /// Something that a person does outside.
    pub struct Manual {
        /// Whether a file must be attached.
        may evidence: EvidenceWord,
    }
}

record! {
    /// Who may answer.
    pub struct By {
        /// Roles of the environment; one is enough.
        may roles: Vec<Spanned<String>>,
        /// `starter`, or `steps.x`: another person than who answered x.
        may exclude: Vec<Spanned<String>>,
    }
}

words! {
    /// What a rejection does.
    pub enum RejectWord { Refuse = "refuse", Continue = "continue", }
}

words! {
    /// What follows when nobody answered in time.
    pub enum TimeoutWord { Refuse = "refuse", Escalate = "escalate", }
}

words! {
    /// Do first and then confirm, or read each point and do it.
    pub enum ModeWord { DoConfirm = "do-confirm", ReadDo = "read-do", }
}

words! {
    /// Whether a file must be attached.
    pub enum EvidenceWord { Required = "required", Optional = "optional", None = "none", }
}

impl Approve {
    /// Others may open it when nobody answers in time.
    pub fn escalates(&self) -> bool {
        self.on_timeout.as_ref().is_some_and(|word| word.value == TimeoutWord::Escalate)
    }
}
