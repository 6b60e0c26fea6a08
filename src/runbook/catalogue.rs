//! The runbooks that there are: found in folders, each with what a list shows of it.
//!
//! Owns where runbooks are looked for below a folder and what counts as one. Reads only, follows no loop, and keeps
//! to bounds; whatever could not be looked at is told, never passed over in silence.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::flow;
use super::folding::folded;
use super::load::{self, Document};
use super::scalar::{Day, Text};
use super::schema::{Category, WindowDecl};
use crate::diag::Diagnostic;

/// Folders below the first one.
const DEPTH: usize = 8;
/// Entries of folders that are looked at, in all.
const ENTRIES: usize = 20_000;
/// Bytes of a file in which its first key is looked for: comments may stand before it.
const HEAD: u64 = 16 * 1024;
/// Folders that hold copies of what stands elsewhere, or nothing that people write.
const PASSED_OVER: &[&str] = &["target", "node_modules"];

/// What was found.
#[derive(Debug, Default)]
pub struct Catalogue {
    pub found: Vec<Found>,
    /// What kept it from being complete.
    pub gaps: Vec<Gap>,
    /// The folder from which files below it are named.
    here: PathBuf,
    seen: BTreeSet<(u64, u64)>,
    entries: usize,
}

/// A file that says it is a runbook.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    /// Absent where the file cannot be read as a runbook.
    pub card: Option<Card>,
    /// What is wrong with its shape; `check` says more.
    pub problems: Vec<Diagnostic>,
}

/// What a list shows of a runbook.
#[derive(Debug, Clone)]
pub struct Card {
    pub id: String,
    pub title: Words,
    pub category: Option<Category>,
    pub description: Words,
    pub owners: Vec<String>,
    pub review_by: Option<Day>,
    /// When it may be run; without one, always.
    pub windows: Vec<WindowDecl>,
    pub alerts: Vec<String>,
    pub links: Vec<(Words, String)>,
    pub changelog: Vec<Change>,
    /// Of all steps, in milliseconds, where any says how long it takes.
    pub estimate: Option<u64>,
}

/// A change of a runbook.
#[derive(Debug, Clone)]
pub struct Change {
    pub date: Day,
    pub by: Option<String>,
    pub text: Words,
}

/// A text in two languages, as it is written.
#[derive(Debug, Clone, Default)]
pub struct Words {
    pub fr: Option<String>,
    pub en: Option<String>,
}

/// Something that was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum Gap {
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not looked into: folders go more than {DEPTH} deep", path.display())]
    TooDeep { path: PathBuf },
    #[error("stopped in {}: more than {ENTRIES} files and folders", path.display())]
    TooMany { path: PathBuf },
    #[error("{} is passed over: anybody may write beside it, and it belongs to another user", path.display())]
    Foreign { path: PathBuf },
}

impl Words {
    /// The text in `lang` (`fr` or `en`), else in the other one.
    pub fn in_lang(&self, lang: &str) -> Option<&str> {
        let (first, second) = if lang == "fr" { (&self.fr, &self.en) } else { (&self.en, &self.fr) };
        first.as_deref().or(second.as_deref())
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.fr.iter().chain(&self.en).map(String::as_str)
    }
}

impl From<Option<&Text>> for Words {
    fn from(text: Option<&Text>) -> Self {
        let Some(text) = text else { return Self::default() };
        let written = |part: Option<&super::decode::Spanned<super::template::Template>>| {
            part.map(|text| text.value.source().to_owned())
        };
        Self { fr: written(text.fr()), en: written(text.en()) }
    }
}

impl Card {
    fn of(document: &Document) -> Self {
        let runbook = &document.runbook;
        Self {
            id: runbook.id.value.clone(),
            title: runbook.title.as_ref().into(),
            category: runbook.category,
            description: runbook.description.as_ref().into(),
            owners: runbook.owners.iter().flatten().map(|owner| owner.value.clone()).collect(),
            review_by: runbook.review_by,
            windows: runbook.windows.clone().unwrap_or_default(),
            alerts: runbook.alerts.iter().flatten().map(|alert| alert.value.clone()).collect(),
            links: runbook
                .links
                .iter()
                .flatten()
                .map(|link| (link.title.as_ref().into(), link.url.value.source().to_owned()))
                .collect(),
            changelog: runbook
                .changelog
                .iter()
                .flatten()
                .map(|change| Change {
                    date: change.date,
                    by: change.by.as_ref().map(|by| by.value.clone()),
                    text: Some(&change.text).into(),
                })
                .collect(),
            estimate: flow::steps(runbook)
                .filter_map(|step| Some(step.estimate.as_ref()?.value.0))
                .reduce(u64::saturating_add),
        }
    }
}

impl Found {
    /// Whether every word stands somewhere in what the runbook says of itself, in either language.
    pub fn matches(&self, words: &[String]) -> bool {
        let mut texts = vec![self.path.display().to_string()];
        if let Some(card) = &self.card {
            texts.push(card.id.clone());
            texts.extend(card.title.all().chain(card.description.all()).map(str::to_owned));
            texts.extend(card.owners.iter().chain(&card.alerts).cloned());
            texts.extend(card.category.into_iter().flat_map(names).map(str::to_owned));
        }
        let texts: Vec<String> = texts.iter().map(|text| folded(text)).collect();
        words.iter().all(|word| {
            let word = folded(word);
            texts.iter().any(|text| text.contains(&word))
        })
    }

    pub fn id(&self) -> Option<&str> {
        self.card.as_ref().map(|card| card.id.as_str())
    }
}

/// A category in French and in English; the English word is the written one.
pub const fn names(category: Category) -> [&'static str; 2] {
    match category {
        Category::Routine => ["routine", "routine"],
        Category::Emergency => ["urgence", "emergency"],
        Category::Maintenance => ["maintenance", "maintenance"],
        Category::Check => ["contrôle", "check"],
    }
}

impl Catalogue {
    /// An empty one, whose files below `here` are named from there.
    pub fn named_from(here: &Path) -> Self {
        Self { here: here.to_owned(), ..Self::default() }
    }

    /// What a runbook in `folder` can use: those beside it, and those of the nearest folder `runbooks`.
    pub fn near(folder: &Path) -> Self {
        let here = std::env::current_dir().and_then(std::fs::canonicalize).unwrap_or_default();
        let mut near = Self::named_from(&here);
        near.look_in(folder);
        near.look_near(folder);
        near
    }

    /// Takes in every runbook below a folder. A link to a folder is not gone into: it may lead anywhere.
    pub fn look_below(&mut self, folder: &Path) {
        let mut folders = vec![(folder.to_owned(), 0)];
        while let Some((folder, depth)) = folders.pop() {
            if !self.is_new(&folder) {
                continue;
            }
            for path in self.listed(&folder) {
                let hidden = path.file_name().is_some_and(|name| {
                    let name = name.to_string_lossy();
                    name.starts_with('.') || PASSED_OVER.contains(&&*name)
                });
                if hidden {
                    continue;
                }
                if path.is_symlink() && path.is_dir() {
                    continue;
                }
                if !path.is_dir() {
                    self.take(&path);
                } else if depth < DEPTH {
                    folders.push((path, depth + 1));
                } else {
                    self.gaps.push(Gap::TooDeep { path });
                }
            }
        }
    }

    /// Takes in the runbooks that lie in a folder itself.
    pub fn look_in(&mut self, folder: &Path) {
        for path in self.listed(folder) {
            if !is_yaml(&path) || !says_runbook(&path) {
                continue;
            }
            if planted(folder, &path) {
                self.gaps.push(Gap::Foreign { path });
            } else {
                self.take(&path);
            }
        }
    }

    /// Takes in the runbooks below the folder `runbooks` that is nearest: in `folder`, else in one above it.
    pub fn look_near(&mut self, folder: &Path) {
        // A relative folder has no more ancestors than are written.
        let whole = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        for above in whole.ancestors() {
            let path = above.join("runbooks");
            if !path.is_dir() {
                continue;
            }
            if planted(above, &path) {
                self.gaps.push(Gap::Foreign { path });
                continue;
            }
            return self.look_below(&path);
        }
    }

    /// The others of the same id.
    pub fn namesakes<'a>(&'a self, of: &'a Found) -> impl Iterator<Item = &'a Found> {
        self.found
            .iter()
            .filter(move |other| of.id().is_some() && other.id() == of.id() && other.path != of.path)
    }

    /// Whether a file or folder was not met before, under this or another name.
    fn is_new(&mut self, path: &Path) -> bool {
        // What cannot be looked at is reported by whoever reads it.
        std::fs::metadata(path).map_or(true, |found| self.seen.insert((found.dev(), found.ino())))
    }

    fn listed(&mut self, folder: &Path) -> Vec<PathBuf> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(source) => {
                self.gaps.push(Gap::Unreadable { path: folder.to_owned(), source });
                return Vec::new();
            }
        };
        let room = ENTRIES.saturating_sub(self.entries);
        let mut paths: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .take(room + 1)
            .map(|entry| folder.join(entry.file_name()))
            .collect();
        if paths.len() > room {
            paths.truncate(room);
            if !self.gaps.iter().any(|gap| matches!(gap, Gap::TooMany { .. })) {
                self.gaps.push(Gap::TooMany { path: folder.to_owned() });
            }
        }
        self.entries += paths.len();
        paths.sort();
        paths
    }

    /// Takes in a file, if it is a runbook or could be one.
    fn take(&mut self, path: &Path) {
        if !is_yaml(path) || !says_runbook(path) || !self.is_new(path) {
            return;
        }
        let (card, problems) = match load::source(path) {
            Ok(source) => {
                let (document, mut problems) = load::alone(&source);
                problems.retain(Diagnostic::is_error);
                (document.as_ref().map(Card::of), problems)
            }
            Err(problem) => (None, vec![problem]),
        };
        let path = path.strip_prefix(&self.here).unwrap_or(path).to_owned();
        self.found.push(Found { path, card, problems });
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Whether a file begins with the key that runbooks begin with: environments, inputs and answers do not. One that
/// cannot be read could be a runbook; a pipe is none, and would be waited for.
fn says_runbook(path: &Path) -> bool {
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return false;
    }
    let mut head = Vec::new();
    if File::open(path).and_then(|file| file.take(HEAD).read_to_end(&mut head)).is_err() {
        return true;
    }
    let is_key =
        |line: &str| line.strip_prefix("consigne").is_some_and(|rest| rest.trim_start().starts_with(':'));
    String::from_utf8_lossy(&head).trim_start_matches('\u{feff}').lines().any(is_key)
}

/// Whether somebody else may have put it there for others to find: in a folder that everybody may write to, only
/// what belongs to this user, or to the system, counts.
fn planted(folder: &Path, path: &Path) -> bool {
    let (Ok(around), Ok(found)) = (std::fs::metadata(folder), std::fs::metadata(path)) else { return false };
    let own = [rustix::process::geteuid().as_raw(), 0].contains(&found.uid());
    around.mode() & 0o002 != 0 && !own
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn runbook(&self, name: &str, id: &str) {
            self.write(name, &format!("# A comment.\nconsigne: v1\nid: {id}\nsteps: []\n"));
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            std::fs::write(self.path(name), text).unwrap();
        }

        fn below(&self) -> Catalogue {
            let mut catalogue = Catalogue::default();
            catalogue.look_below(self.0.path());
            catalogue
        }
    }

    fn ids(catalogue: &Catalogue) -> Vec<&str> {
        let mut ids: Vec<&str> = catalogue.found.iter().map(|found| found.id().unwrap_or("?")).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn a_runbook_is_what_begins_like_one() {
        let folder = Folder::new();
        folder.runbook("a.yaml", "a");
        folder.runbook("deep/er/b.yml", "b");
        folder.runbook("notes.txt", "no");
        folder.runbook(".git/c.yaml", "no");
        folder.runbook("target/c.yaml", "no");
        folder.write("a.inputs.yaml", "tenant_id: acme\n");
        folder.write("environments/practice.yaml", "vars: {consigne: yes}\n");
        folder.write("broken.yaml", "consigne: v1\nid: [\n");
        folder.write("latin.yaml", "");
        std::fs::write(folder.path("latin.yaml"), b"consigne: v1\ntitle: caf\xe9\n").unwrap();
        let catalogue = folder.below();
        assert_eq!(ids(&catalogue), ["?", "?", "a", "b"]);
        let mut codes: Vec<_> =
            catalogue.found.iter().flat_map(|found| &found.problems).map(|p| p.code).collect();
        codes.sort_unstable();
        assert_eq!(codes, ["not-utf-8", "syntax"]);
        assert!(catalogue.gaps.is_empty());
    }

    #[test]
    fn loops_end_and_depth_is_bounded_aloud() {
        let folder = Folder::new();
        folder.runbook("one/a.yaml", "a");
        std::os::unix::fs::symlink(folder.path("one"), folder.path("one/again")).unwrap();
        std::os::unix::fs::symlink(folder.0.path(), folder.path("one/up")).unwrap();
        std::os::unix::fs::symlink(folder.path("one/a.yaml"), folder.path("same.yaml")).unwrap();
        std::os::unix::fs::symlink(folder.path("nowhere"), folder.path("dangling.yaml")).unwrap();
        folder.runbook("elsewhere/b.yaml", "b");
        std::os::unix::fs::symlink(folder.path("elsewhere"), folder.path("one/there")).unwrap();
        let one = {
            let mut one = Catalogue::default();
            one.look_below(&folder.path("one"));
            one
        };
        assert_eq!(ids(&one), ["a"], "a link to a folder is not gone into");
        folder.runbook("1/2/3/4/5/6/7/8/last.yaml", "last");
        folder.runbook("1/2/3/4/5/6/7/8/9/beyond.yaml", "beyond");
        let catalogue = folder.below();
        assert_eq!(ids(&catalogue), ["?", "a", "b", "last"], "the dangling link is told");
        let gaps: Vec<String> = catalogue.gaps.iter().map(Gap::to_string).collect();
        assert_eq!(gaps.len(), 1, "{gaps:?}");
        assert!(gaps[0].contains("7/8/9 is not looked into"), "{gaps:?}");
    }

    #[test]
    fn the_nearest_folder_of_runbooks_counts() {
        let folder = Folder::new();
        folder.runbook("runbooks/a.yaml", "a");
        folder.runbook("team/runbooks/b.yaml", "b");
        std::fs::create_dir_all(folder.path("team/src/deep")).unwrap();
        let near = |name: &str| {
            let mut catalogue = Catalogue::default();
            catalogue.look_near(&folder.path(name));
            ids(&catalogue).join(" ")
        };
        assert_eq!([near("team/src/deep"), near("team"), near("runbooks")], ["b", "b", "a"]);
        let mut catalogue = Catalogue::named_from(folder.0.path());
        catalogue.look_near(folder.0.path());
        assert_eq!(catalogue.found[0].path, Path::new("runbooks/a.yaml"), "named from here");
    }

    #[test]
    fn what_somebody_else_planted_is_not_taken() {
        let folder = Folder::new();
        folder.runbook("a.yaml", "a");
        let me = rustix::process::geteuid();
        assert!(!planted(folder.0.path(), &folder.path("a.yaml")));
        std::fs::set_permissions(folder.0.path(), std::os::unix::fs::PermissionsExt::from_mode(0o1777))
            .unwrap();
        assert!(!planted(folder.0.path(), &folder.path("a.yaml")), "it is one's own");
        if !me.is_root() {
            let said = "not run: only root can give a file to somebody else\n";
            let _seen = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
            return;
        }
        std::os::unix::fs::chown(folder.path("a.yaml"), Some(12345), None).unwrap();
        assert!(planted(folder.0.path(), &folder.path("a.yaml")));
        let mut catalogue = Catalogue::default();
        catalogue.look_in(folder.0.path());
        assert!(catalogue.found.is_empty() && catalogue.gaps.len() == 1);
    }

    #[test]
    fn words_search_everything_that_a_runbook_says_of_itself() {
        let folder = Folder::new();
        folder.write(
            "a.yaml",
            "consigne: v1\nid: tenant-back\ntitle: {fr: \"Réactiver un tenant\", en: \"Reactivate a tenant\"}\n\
             description: \"After late payment\"\ncategory: emergency\nowners: [Équipe-Ops]\nsteps: []\n",
        );
        let found = &folder.below().found[0];
        let hit = |words: &[&str]| found.matches(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>());
        for words in [
            &["reactiver"][..],
            &["RÉACTIVER", "tenant"],
            &["late"],
            &["équipe"],
            &["urgence"],
            &["back"],
            &[],
        ] {
            assert!(hit(words), "{words:?}");
        }
        assert!(!hit(&["tenant", "backup"]), "every word has to be there");
    }
}
