//! Where runbooks stand, and which one an id means. Shared by every verb that takes a runbook; reads only.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use crate::diag::closest;
use crate::runbook::catalogue::{Catalogue, Found};

/// Folders with runbooks, separated as in `PATH`.
const VARIABLE: &str = "CONSIGNE_RUNBOOKS";

/// Runbooks of one kind that an error names.
const MOST_HINTS: usize = 3;

/// The runbooks that can be meant by an id here.
pub(super) struct Shelf {
    pub catalogue: Catalogue,
    /// Where they were looked for.
    places: Vec<PathBuf>,
}

impl Shelf {
    /// What is below these folders; else below those of the variable; else in the current folder, and below the folder
    /// `runbooks` that is nearest to it.
    pub(super) fn find(folders: &[PathBuf]) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let mut catalogue = Catalogue::named_from(&here);
        let set = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
        let mut places = folders.to_vec();
        if places.is_empty() {
            let listed = set.iter().flat_map(std::env::split_paths);
            places.extend(listed.filter(|path| !path.as_os_str().is_empty()));
        }
        if places.is_empty() {
            catalogue.look_in(&here);
            catalogue.look_near(&here);
        } else {
            places.iter().for_each(|folder| catalogue.look_below(folder));
        }
        catalogue.found.sort_by(|one, other| (one.id(), &one.path).cmp(&(other.id(), &other.path)));
        Self { catalogue, places }
    }

    /// Where runbooks were looked for, for people to read.
    pub(super) fn places(&self, french: bool) -> String {
        if !self.places.is_empty() {
            return self
                .places
                .iter()
                .map(|place| place.display().to_string())
                .collect::<Vec<_>>()
                .join(", ");
        }
        let words = if french { ["ce dossier", "ou au-dessus"] } else { ["this folder", "or above it"] };
        format!("{}, ./runbooks {}", words[0], words[1])
    }

    /// The one runbook of that id.
    fn of_id(&self, id: &str) -> Result<&Found, CliError> {
        let found: Vec<&Found> = self.catalogue.found.iter().filter(|found| found.id() == Some(id)).collect();
        match found.as_slice() {
            [only] => Ok(only),
            [] => Err(self.unknown(id)),
            several => {
                let message = format!("{} runbooks have the id `{id}`", several.len());
                let error = CliError::new(Exit::Invalid, message).hint("name the file that you mean:");
                Err(several.iter().fold(error, |error, found| error.hint(found.path.display().to_string())))
            }
        }
    }

    fn unknown(&self, id: &str) -> CliError {
        let ids = self.catalogue.found.iter().filter_map(Found::id);
        let mut error = CliError::new(Exit::Invalid, format!("no file and no runbook of the name `{id}`"));
        let file = PathBuf::from(format!("{id}.yaml"));
        if file.is_file() {
            error = error.hint(format!("did you mean `{}`?", file.display()));
        } else if let Some(near) = closest(id, ids) {
            error = error.hint(format!("did you mean `{near}`?"));
        } else {
            let saying = self.catalogue.found.iter().filter(|found| found.matches(&[id.to_owned()]));
            for near in saying.filter_map(Found::id).take(MOST_HINTS) {
                error = error.hint(format!("did you mean `{near}`?"));
            }
        }
        for unread in self.catalogue.found.iter().filter(|found| found.card.is_none()).take(MOST_HINTS) {
            error = error.hint(format!("{} cannot be read as a runbook", unread.path.display()));
        }
        error.hint(format!("looked in: {}; `consigne runbooks` lists what is there", self.places(false)))
    }
}

/// The file of a runbook that is named by its path or by its id. A file that exists is meant, whatever its name.
///
/// # Errors
/// There is neither, or several have the id.
pub(super) fn file_of(named: &Path, ui: Ui) -> Result<PathBuf, CliError> {
    let file = located(named)?;
    if file != named {
        ui.say(&format!("runbook: {}", file.display()));
    }
    Ok(file)
}

/// The runbooks that are meant: files and ids as they are, and all that lie below a folder.
///
/// # Errors
/// As for [`file_of`], or a folder has none.
pub(super) fn files_of(named: &[PathBuf], ui: Ui) -> Result<Vec<PathBuf>, CliError> {
    let mut out = Vec::new();
    for named in named {
        // A folder may have the name of a runbook: then the runbook is meant, as everywhere.
        if !named.is_dir() || located(named).is_ok_and(|file| file != *named) {
            out.push(file_of(named, ui)?);
            continue;
        }
        let mut catalogue = Catalogue::default();
        catalogue.look_below(named);
        let found = catalogue.found.iter().filter(|found| found.id().is_some());
        let mut found: Vec<PathBuf> = found.map(|found| found.path.clone()).collect();
        if found.is_empty() {
            return Err(CliError::new(Exit::Invalid, format!("no runbook lies below {}", named.display())));
        }
        found.sort();
        out.extend(found);
    }
    Ok(out)
}

/// The same, said to nobody.
///
/// # Errors
/// As for [`file_of`].
pub(super) fn located(named: &Path) -> Result<PathBuf, CliError> {
    let is_path = named.exists() && !named.is_dir() || named.components().count() != 1;
    let Some(id) = named.to_str().filter(|name| !is_path && !name.contains(['.', '/'])) else {
        return Ok(named.to_owned());
    };
    let shelf = Shelf::find(&[]);
    let found = shelf.of_id(id)?;
    Ok(found.path.clone())
}
