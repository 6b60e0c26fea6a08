//! Every fixed text that operators read, in their two languages, in one table.
//!
//! A text without its translation does not compile; a test compares the placeholders of both. Data (titles,
//! messages, what programs print) is shown as it is and never stands here.

use crate::core::{AskKind, Decision, Refused};
use crate::plan::{Effect, Mode};

/// A language of operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lang {
    Fr,
    En,
}

impl Lang {
    /// The language of that code, English for any that we do not speak.
    pub fn of(code: &str) -> Self {
        if code == "fr" { Self::Fr } else { Self::En }
    }

    /// A decision, as it is said to have been made.
    pub fn decision(self, decision: Decision) -> String {
        self.text(word(decision)).replace('_', " ")
    }

    /// What a request does to the world.
    pub fn effect(self, of: Effect) -> String {
        self.text(effect(of)).to_lowercase()
    }

    pub fn text(self, text: Text) -> &'static str {
        let [fr, en] = text.both();
        if self == Self::Fr { fr } else { en }
    }

    /// A text with its `{name}` placeholders filled. Values are not looked at again.
    pub fn fill(self, text: Text, values: &[(&str, &str)]) -> String {
        let mut out = String::new();
        let mut rest = self.text(text);
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((name, tail)) = after.split_once('}') else { break };
            out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
            rest = tail;
        }
        out.push_str(rest);
        out
    }
}

macro_rules! wording {
    ($($name:ident: $fr:literal, $en:literal;)*) => {
        /// A fixed text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Text { $($name),* }

        impl Text {
            /// French, English.
            const fn both(self) -> [&'static str; 2] {
                match self { $(Self::$name => [$fr, $en]),* }
            }

            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

wording! {
    KindApprove: "approbation", "approval";
    KindConfirm: "confirmation", "confirmation";
    KindInput: "formulaire", "form";
    KindChoice: "choix", "choice";
    KindChecklist: "liste de contrôle", "checklist";
    KindManual: "à faire à la main", "to be done by hand";
    KindFailure: "échec : que faire ?", "failed: what now?";
    KindUnknown: "issue inconnue : que s'est-il passé ?", "outcome unknown: what happened?";
    KindCanary: "les premiers sont faits : continuer avec les autres ?", "the first are done: go on with the others?";
    KindGuard: "garde-fou en défaut : que faire ?", "a guard does not hold: what now?";
    KindPutBack: "encore basculé : remettre en place ?", "still switched: put it back?";
    ModeLive: "RÉEL", "LIVE";
    ModeDrill: "EXERCICE", "DRILL";
    ModeRehearsal: "RÉPÉTITION (rien n'est exécuté)", "REHEARSAL (nothing is carried out)";
    DoNotDoIt: "répétition : ne le faites pas, dites ce que vous feriez",
        "rehearsal: do not do this, say what you would do";
    LeftOpenInRehearsal: "question ouverte sur {step} ({kind}) : la réponse {place} ({words}) manque",
        "open question about {step} ({kind}): the answer {place} ({words}) is missing";
    EffectRead: "lecture", "read";
    EffectWrite: "écriture", "write";
    EffectDestructive: "DESTRUCTIF", "DESTRUCTIVE";
    EffectNotify: "notification", "notify";

    WillBeDone: "Ce qui sera fait :", "What will be done:";
    OnFailure: " (en cas d'échec)", " (on failure)";
    Opens: "Étapes concernées : {steps}", "Steps behind it: {steps}";
    LimitFilter: "Une cible décidée plus tard doit satisfaire : {filter}", "A target that is decided later has to satisfy: {filter}";
    LimitReads: "avec {name} = {value}", "with {name} = {value}";
    LimitCount: "Cibles destructives : {most} au plus ; au-delà, l'approbation est redemandée.", "Destructive targets: {most} at most; for more, the approval is asked for again.";
    Tried: "Ce qui a été tenté :", "What was tried:";
    Begun: "Faits : {done}. À venir : {rest}.", "Done: {done}. To come: {rest}.";
    NoBecause: "Tour {round} : {who} a dit non : {why}", "Round {round}: {who} said no: {why}";
    NoBefore: "Tour {round} : {who} a dit non, sans raison", "Round {round}: {who} said no, for no reason given";
    VoidBefore: "Redemandé : ce qui serait fait n'est plus ce qui a été approuvé.", "Asked again: what would be done is not what was approved.";
    ExpiredBefore: "Tour {round} : personne n'a répondu à temps", "Round {round}: nobody answered in time";
    NotClean: "Pas remis tout seul : ce qui l'entoure n'a pas réussi.", "Not put back by itself: what it belongs to has not succeeded.";
    NotFit: "Pas remis tout seul : son `only_if` n'est pas rempli.", "Not put back by itself: its `only_if` does not hold.";
    NotAsked: "Pas remis tout seul : son `only_if` n'a pas pu être demandé.", "Not put back by itself: its `only_if` could not be asked.";
    Happened: "Résultat : {reason}{code}, tentative {attempt}", "Result: {reason}{code}, attempt {attempt}";
    AskedBecause: "Motif : {reason}", "Because: {reason}";
    Detail: "Détail : {why}", "Detail: {why}";
    ToCome: "Restent : {items}", "Still to come: {items}";
    Usually: "Durée habituelle : {time}", "Usually takes {time}";
    EarlierLines: "… {count} lignes avant (? les montre)", "… {count} earlier lines (? shows them)";
    WhoMay: "Peut répondre : {who}", "May answer: {who}";
    Anybody: "tout le monde", "anybody";
    Nobody: "personne", "nobody";
    Except: "{who}, sauf {not}", "{who}, except {not}";
    Quorum: "Il faut {quorum} personnes différentes.", "It takes {quorum} different people.";
    Said: "{who} a répondu « {word} » à {at}", "{who} said \"{word}\" at {at}";
    GlassFrom: "Bris de glace, seul et avec un motif, à partir de {at} : {who}", "Break glass, alone and with a reason, from {at} on: {who}";
    TimeboxLeft: "Temps prévu : encore {left}, jusqu'à {at}", "Timebox: {left} left, until {at}";
    TimeboxOver: "Le temps prévu est dépassé de {over}", "Over its timebox by {over}";
    OpenUntil: "Ouvert jusqu'à {at} (encore {left})", "Open until {at} ({left} left)";
    SecondPerson: "Passer outre ici demande une autre personne que celle qui a lancé l'exécution.",
        "Overriding this step takes another person than the one who started the run.";
    NotYou: "Ce n'est pas à {me} de répondre. En attente de : {who}",
        "This is not for {me} to answer. Waiting for: {who}";
    SignIt: "Cet environnement n'accepte que des réponses signées par une clé SSH.",
        "This environment takes answers signed by an SSH key only.";
    NobodySigns: "Personne de ceux qui peuvent répondre n'a de clé dans l'environnement (`ssh:` sous `people`).",
        "Nobody who may answer has a key in the environment (`ssh:` under `people`).";
    SignElsewhere: "À signer ailleurs. Envoyer tel quel (bloc de code ou fichier) :",
        "To be signed elsewhere. Send it as it is (code block or file):";
    SignThere: "Là-bas : `consigne sign`, coller ; il montre, demande, et rend le texte signé.",
        "There: `consigne sign`, paste; it shows, asks, and prints the signed text.";
    SignStock: "Ou bien : ce qui est entre les ----- dans {file}{name}, puis",
        "Or: what is between the ----- in {file}{name}, then";
    SignName: " (nom après `who:`)", " (name after `who:`)";
    SignBack: "Au retour, par n'importe qui (FICHIER `-` : coller) :",
        "Back here, by anybody (FILE `-` takes a paste):";
    SignAnswer: "  consigne answer {run} {step} {word} --signature FICHIER",
        "  consigne answer {run} {step} {word} --signature FILE";
    SignHelp: "?? montre ce que quelqu'un peut signer ailleurs.", "?? shows what somebody can sign elsewhere.";
    AnswerElsewhere: "Répondre d'ailleurs : `consigne answer {run} {place} {words}`",
        "To answer elsewhere: `consigne answer {run} {place} {words}`";
    LeftOpen: "question ouverte sur {step} ({kind}) : `consigne answer {run} {place} {words}`",
        "open question about {step} ({kind}): `consigne answer {run} {place} {words}`";
    ChooseOne: "À choisir, un seul :", "To choose from, one:";
    ChooseMany: "À choisir, {wanted} :", "To choose from, {wanted}:";
    Exactly: "exactement {least}", "exactly {least}";
    FromTo: "de {least} à {most}", "from {least} to {most}";
    WhichOne: "numéro ou nom", "number or id";
    WhichMany: "numéros ou noms, séparés par une espace", "numbers or ids, separated by spaces";
    WhichIds: "nom (plusieurs : séparés par une espace)", "id (several: separated by spaces)";
    HowMany: "{count} choisis, attendu : {wanted}", "{count} chosen, expected {wanted}";
    NamedTwice: "« {word} » est nommé deux fois", "\"{word}\" is named twice";
    Choices: "Réponses possibles :", "Answers:";
    MoreHelp: "? montre de nouveau toute la question. Ctrl-C met l'exécution en pause.",
        "? shows the whole question again. Ctrl-C pauses the run.";
    NoSuchWord: "« {word} » n'est pas une réponse : {words}", "\"{word}\" is no answer: {words}";
    Ambiguous: "« {word} » est ambigu : {words}", "\"{word}\" could be {words}";
    PleaseAnswer: "une réponse est attendue : {words}", "an answer is needed: {words}";
    AnswerAs: "répondre en tant que", "answer as";
    FirstWho: "d'abord, qui dit « {word} » ? En exercice, une personne joue tous les rôles : {names}",
        "first, who says \"{word}\"? In practice one person plays all roles: {names}";
    TypeToConfirm: "Pour confirmer, taper exactement : {typed}    Sinon : {no}", "To confirm, type exactly: {typed}    Otherwise: {no}";
    NotTheWord: "ce n'est pas « {typed} » : rien n'est confirmé", "that is not \"{typed}\": nothing is confirmed";
    ReasonNeeded: "motif (obligatoire)", "reason (required)";
    ReasonOptional: "commentaire (Entrée : aucun)", "comment (Enter: none)";
    ReasonMissing: "un motif est obligatoire : il figure au procès-verbal", "a reason is required: it stands in the record";
    EvidenceNeeded: "fichier de preuve (obligatoire)", "file as evidence (required)";
    EvidenceOptional: "fichier de preuve (Entrée : aucun)", "file as evidence (Enter: none)";
    EvidenceMissing: "une preuve est obligatoire : le chemin d'un fichier", "evidence is required: the path of a file";
    EvidenceKept: "conservé : {name}, {bytes} octets, sha256 {sha}", "kept: {name}, {bytes} bytes, sha256 {sha}";
    AnotherFile: "autre fichier (Entrée : aucun)", "another file (Enter: none)";
    OutputNeeded: "{name} ({kind}, lu par la suite)", "{name} ({kind}, read by a later step)";
    OutputOptional: "{name} ({kind}, Entrée : rien)", "{name} ({kind}, Enter: none)";
    NothingGiven: "aucune valeur n'a été donnée", "no value was given";
    OwnerAsk: "qui s'en occupe ?", "who looks after it?";
    ReviewAsk: "à revoir quand ? (4h, 2d, date RFC 3339)", "to be reviewed when? (4h, 2d, RFC 3339 time)";
    NotAReview: "ni une durée ni une date RFC 3339 avec décalage, dans le futur", "neither a duration nor an RFC 3339 time with an offset, in the future";
    ValueNeeded: "une valeur est obligatoire", "a value is required";
    NotAValue: "attendu : {kind}", "expected {kind}";
    NotAllowed: "valeurs admises : {values}", "one of: {values}";
    TooSmall: "au moins {min}", "at least {min}";
    TooBig: "au plus {max}", "at most {max}";
    FormAsked: "Il faut encore savoir (Ctrl-C : rien n'est lancé) :", "This has to be known first (Ctrl-C: nothing is started):";
    FormNotTaken: "la valeur donnée ne convient pas : {why}", "what was given cannot be taken: {why}";
    FormPattern: "selon le motif {pattern}", "matching {pattern}";
    NotMatching: "ne correspond pas au motif {pattern}", "does not match the pattern {pattern}";
    AnyValue: "une valeur", "a value";
    AString: "un texte", "a text";
    AnInteger: "un nombre entier", "a whole number";
    ANumber: "un nombre", "a number";
    ABoolean: "oui ou non", "yes or no";
    ADatetime: "une date RFC 3339 avec décalage (2026-11-23T09:00:00+01:00)", "an RFC 3339 time with an offset (2026-11-23T09:00:00+01:00)";
    AFile: "le chemin d'un fichier", "the path of a file";
    AList: "une liste, séparée par des virgules", "a list, separated by commas";
    ItemUnprobed: "sonde à lancer", "to be probed";
    ItemOpen: "à vérifier", "to be checked";
    ItemProved: "prouvé par la sonde", "proved by its probe";
    ItemRefuted: "la sonde dit NON", "its probe says NO";
    ItemConfirmed: "confirmé", "confirmed";
    ItemRefused: "refusé", "refused";
    WithEvidence: "preuve demandée", "evidence required";
    ToReadBack: "à relire en toutes lettres", "to be read back";
    ReadBackAsk: "Relire : taper exactement la valeur que ce point montre. Sinon : {no}", "Read back: type exactly the value that this item shows. Otherwise: {no}";
    ReadBackWrong: "ce n'est pas ce que ce point montre : il n'est pas coché", "that is not what this item shows: it is not ticked";
    ReadBackValue: "VALEUR", "VALUE";
    WhichItem: "numéro (et réponse), ou {all}", "number (and answer), or {all}";
    PastedMore: "seule la première ligne du texte collé est prise", "only the first line of the pasted text was taken";
    WordAll: "tout", "all";
    WordUnanswerable: "cette question se traite point par point", "this list is answered item by item";
    NoSuchItem: "pas de point « {word} » encore ouvert", "no open item \"{word}\"";
    InOrder: "cette liste se lit dans l'ordre : {item} d'abord", "this list is read in order: {item} comes first";
    Refused: "réponse refusée : {message}", "answer refused: {message}";
    RefusedHint: "indice : {hint}", "hint: {hint}";
    Withdrawn: "question close : {step} : {note}", "question closed: {step}: {note}";
    Changed: "la question a changé, la voici :", "the question has changed, here it is:";
    MoreWaiting: "{count} autres questions attendent", "{count} more questions are waiting";
    Scripted: "{id} : réponse du fichier : {value}{as}", "{id}: answered from the file: {value}{as}";
    ScriptedAs: " (joué : {who})", " (played: {who})";
    ScriptedMisfit: "{id} : la réponse du fichier ne convient pas à cette question", "{id}: the answer in the file does not fit this question";
    ScriptedSpent: "{id} : les réponses du fichier sont déjà données", "{id}: the answers in the file have been given already";
    ScriptedNoPlay: "{id} : `as` demande un environnement avec role_play", "{id}: `as` needs an environment with role_play";

    WordApprove: "approuver", "approve";
    WordReject: "rejeter", "reject";
    WordYes: "oui", "yes";
    WordNo: "non", "no";
    WordDone: "fait", "done";
    WordNotDone: "pas_fait", "not_done";
    WordRetry: "réessayer", "retry";
    WordByHand: "main", "by_hand";
    WordSkip: "sauter", "skip";
    WordSetOutput: "valeur", "set_output";
    WordUndoEnd: "défaire", "undo_end";
    WordEnd: "terminer", "end";
    WordPutBack: "remettre", "put_back";
    WordLeaveOpen: "laisser", "leave_open";
    WordGiven: "a répondu", "answered";
    WordChosen: "a choisi", "chose";
    WordBreakGlass: "bris_de_glace", "break_glass";
    WordGoOn: "passer_outre", "go_on";
    WordReadBack: "relu", "read_back";

    DoApprove: "exactement ce qui est montré peut être fait", "exactly what is shown may be done";
    DoReject: "rien n'est fait, la porte reste fermée", "nothing is done, the gate stays shut";
    DoYes: "on continue", "it goes on";
    DoNoMore: "on s'arrête là : les autres ne commencent pas", "it stops here: the others do not begin";
    DoNo: "rien n'est fait, la porte reste fermée", "nothing is done, the gate stays shut";
    DoManualDone: "c'est fait, on continue", "it is done, go on";
    DoManualNot: "ce n'est pas fait : l'étape échoue", "it is not done: the step fails";
    DoItemYes: "c'est vérifié", "it holds";
    DoItemNo: "ce n'est pas le cas : la liste échoue", "it does not hold: the checklist fails";
    DoItemRetry: "relancer la sonde", "run its probe again";
    DoItemByHand: "passer outre la sonde (motif)", "overrule the probe (reason)";
    DoRetry: "une tentative de plus, maintenant", "one more attempt, now";
    DoByHand: "vous l'avez fait vous-même ; la suite continue (motif, preuve, valeurs)", "you did it yourself; what follows goes on (reason, evidence, values)";
    DoSkip: "ce n'est pas fait, et la suite continue quand même (motif, valeurs)", "it is not done, and what follows goes on anyway (reason, values)";
    DoSetOutput: "donner les valeurs que l'étape aurait produites ; la suite continue (motif)", "give the values the step would have produced; what follows goes on (reason)";
    DoUndoEnd: "défaire ce qui a été fait, du plus récent au plus ancien, puis terminer en échec", "undo what was done, newest first, then end as failed";
    DoEnd: "terminer ici en échec ; ce qui est fait reste fait", "end here as failed; what is done stays done";
    DoUnknownDone: "vous avez constaté que c'est fait ; la suite continue (motif, valeurs)", "you have seen that it happened; what follows goes on (reason, values)";
    DoUnknownNot: "vous avez constaté que ce n'est pas fait ; l'étape peut repartir", "you have seen that it did not happen; the step may run again";
    DoUnknownRetry: "recommencer sans savoir : l'effet peut avoir lieu DEUX fois", "run it again without knowing: it may take effect TWICE";
    DoGuardRetry: "reposer la question au garde-fou ; s'il tient, la suite continue", "ask the guard again; if it holds, the run goes on";
    DoGoOn: "continuer malgré le garde-fou, cette fois seulement (motif)", "go on whatever the guard says, this once only (reason)";
    DoPutBack: "remettre en place maintenant", "put it back now";
    DoPutBackDone: "c'est déjà remis en place (motif)", "it has been put back already (reason)";
    DoBreakGlass: "ouvrir seul, avec un motif ; quelqu'un d'autre y revient après", "open it alone, with a reason; somebody else looks at it afterwards";
    DoLeaveOpen: "laisser ainsi : motif, responsable, date de revue", "leave it so: reason, owner, review time";
}

pub(super) const fn kind(kind: AskKind) -> Text {
    match kind {
        AskKind::Approve => Text::KindApprove,
        AskKind::Confirm => Text::KindConfirm,
        AskKind::Input => Text::KindInput,
        AskKind::Choice => Text::KindChoice,
        AskKind::Checklist => Text::KindChecklist,
        AskKind::Manual => Text::KindManual,
        AskKind::Failure => Text::KindFailure,
        AskKind::Unknown => Text::KindUnknown,
        AskKind::PutBack => Text::KindPutBack,
        AskKind::Canary => Text::KindCanary,
        AskKind::Guard => Text::KindGuard,
    }
}

pub(super) const fn mode(mode: Mode) -> Text {
    match mode {
        Mode::Live => Text::ModeLive,
        Mode::Drill => Text::ModeDrill,
        Mode::Rehearsal => Text::ModeRehearsal,
    }
}

pub(super) const fn effect(effect: Effect) -> Text {
    match effect {
        Effect::Read => Text::EffectRead,
        Effect::Write => Text::EffectWrite,
        Effect::Destructive => Text::EffectDestructive,
        Effect::Notify => Text::EffectNotify,
    }
}

/// The word for a decision.
pub(super) const fn word(decision: Decision) -> Text {
    match decision {
        Decision::Approve => Text::WordApprove,
        Decision::Reject => Text::WordReject,
        Decision::Yes => Text::WordYes,
        Decision::No => Text::WordNo,
        Decision::Given => Text::WordGiven,
        Decision::Chosen => Text::WordChosen,
        Decision::GoOn => Text::WordGoOn,
        Decision::Done => Text::WordDone,
        Decision::NotDone => Text::WordNotDone,
        Decision::Retry => Text::WordRetry,
        Decision::ByHand => Text::WordByHand,
        Decision::Skip => Text::WordSkip,
        Decision::SetOutput => Text::WordSetOutput,
        Decision::UndoEnd => Text::WordUndoEnd,
        Decision::End => Text::WordEnd,
        Decision::PutBack => Text::WordPutBack,
        Decision::LeaveOpen => Text::WordLeaveOpen,
        Decision::BreakGlass => Text::WordBreakGlass,
        Decision::ReadBack => Text::WordReadBack,
    }
}

/// What follows from a decision.
pub(super) const fn consequence(kind: AskKind, decision: Decision) -> Text {
    match (kind, decision) {
        (AskKind::Manual, Decision::Done) => Text::DoManualDone,
        (AskKind::Manual, _) => Text::DoManualNot,
        (AskKind::Checklist, Decision::Retry) => Text::DoItemRetry,
        (AskKind::Checklist, Decision::ByHand) => Text::DoItemByHand,
        (AskKind::Checklist, Decision::No) => Text::DoItemNo,
        (AskKind::Checklist, _) => Text::DoItemYes,
        (AskKind::Unknown, Decision::Done) => Text::DoUnknownDone,
        (AskKind::Unknown, Decision::NotDone) => Text::DoUnknownNot,
        (AskKind::Unknown, Decision::Retry) => Text::DoUnknownRetry,
        (AskKind::PutBack, Decision::Done) => Text::DoPutBackDone,
        (AskKind::Guard, Decision::Retry) => Text::DoGuardRetry,
        (_, Decision::GoOn) => Text::DoGoOn,
        (_, Decision::Approve) => Text::DoApprove,
        (_, Decision::Reject) => Text::DoReject,
        (_, Decision::Yes | Decision::Given | Decision::Chosen | Decision::Done | Decision::ReadBack) => {
            Text::DoYes
        }
        (AskKind::Canary, Decision::No) => Text::DoNoMore,
        (_, Decision::No | Decision::NotDone) => Text::DoNo,
        (_, Decision::Retry) => Text::DoRetry,
        (_, Decision::ByHand) => Text::DoByHand,
        (_, Decision::Skip) => Text::DoSkip,
        (_, Decision::SetOutput) => Text::DoSetOutput,
        (_, Decision::UndoEnd) => Text::DoUndoEnd,
        (_, Decision::End) => Text::DoEnd,
        (_, Decision::PutBack) => Text::DoPutBack,
        (_, Decision::LeaveOpen) => Text::DoLeaveOpen,
        (_, Decision::BreakGlass) => Text::DoBreakGlass,
    }
}

/// Why an answer is refused. The core speaks English: in French its message is left for the detail.
pub(super) fn refusal(lang: Lang, why: &Refused) -> &str {
    refusal_fr(why.code).filter(|_| lang == Lang::Fr).unwrap_or(&why.message)
}

/// `None` for what no answer is refused with.
fn refusal_fr(code: &str) -> Option<&'static str> {
    Some(match code {
        "too-early" => "la glace de cette porte ne peut pas encore être brisée",
        "not-entitled" => "cette personne ne peut pas répondre à cette question",
        "second-person" => "il faut une autre personne que celle qui a lancé l'exécution",
        "no-reason" => "un motif est obligatoire",
        "no-evidence" => "une preuve est obligatoire",
        "not-typed" => "la confirmation doit être tapée en toutes lettres",
        "outputs-needed" => "une étape suivante lit une valeur qui manque",
        "secret-needed" => "une étape suivante emploie un secret que seule cette étape peut donner",
        "unknown-output" => "l'étape n'a pas de valeur de ce nom",
        "unknown-field" => "le formulaire n'a pas de champ de ce nom",
        "not-read-back" => "ce n'est pas ce que ce point montre",
        "probe-says-no" => "la sonde de ce point dit non",
        "out-of-order" => "cette liste se lit dans l'ordre",
        "item-settled" => "ce point est déjà réglé",
        "name-the-item" => "ce qui reste se traite point par point",
        "stale-view" => "ce qui était affiché n'est plus ce qui est demandé",
        "gate-shut" => {
            "une porte à l'intérieur n'est pas ouverte, et seules les personnes désignées l'ouvrent"
        }
        "conflict" => "quelqu'un a déjà répondu autrement",
        "question-closed" => "la question est close",
        "bad-signature" => "cette signature ne compte pas",
        "expired" => "le délai de la question est écoulé",
        "incomplete" => "il manque une valeur",
        "how-many" => "ce n'est pas le nombre attendu",
        "ill-typed" => "une valeur n'est pas du type attendu",
        "not-a-choice" => "ce n'est pas une réponse à cette question",
        "unknown-question" => "il n'y a pas de question de ce numéro",
        "unknown-item" => "la liste n'a pas de point de ce nom",
        "run-over" => "l'exécution est terminée",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<_> =
            text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name)).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn both_languages_have_every_text_with_the_same_placeholders() {
        for text in Text::ALL {
            let [fr, en] = text.both();
            assert!(!fr.trim().is_empty() && !en.trim().is_empty(), "{text:?}");
            assert_eq!(placeholders(fr), placeholders(en), "{text:?}");
        }
    }

    #[test]
    fn every_refusal_of_an_answer_is_said_in_french() {
        let sources = [
            include_str!("../core/decide/answer.rs"),
            include_str!("../core/decide/choose.rs"),
            include_str!("../core/decide/entitled.rs"),
        ]
        .concat();
        let code = Regex::new(r#"(?s)Refused(?:::new\(|\s*\{\s*code:)\s*"([a-z-]+)""#).unwrap();
        let codes: Vec<&str> = code.captures_iter(&sources).map(|found| found.extract::<1>().1[0]).collect();
        assert!(codes.len() > 20 && codes.contains(&"not-entitled"), "{codes:?}");
        for code in codes {
            assert!(refusal_fr(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_value_that_looks_like_a_placeholder_is_not_filled() {
        let text = Lang::En.fill(Text::Said, &[("who", "{word}"), ("word", "yes"), ("at", "now")]);
        assert_eq!(text, "{word} said \"yes\" at now");
    }

    #[test]
    fn no_two_choices_of_one_question_begin_alike_in_their_first_two_letters() {
        let decisions = [
            Decision::Retry,
            Decision::ByHand,
            Decision::Skip,
            Decision::SetOutput,
            Decision::UndoEnd,
            Decision::End,
        ];
        for lang in [Lang::Fr, Lang::En] {
            let mut starts: Vec<_> =
                decisions.iter().map(|d| lang.text(word(*d)).chars().take(2).collect::<String>()).collect();
            starts.sort_unstable();
            let all = starts.len();
            starts.dedup();
            assert_eq!(starts.len(), all, "{lang:?}");
        }
    }
}
