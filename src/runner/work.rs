//! The scratch folder of a run, `run.work`: made when the first attempt names it, wiped when the run ends.
//!
//! Owns the folder `work` in the run's directory and nothing in it. It belongs to whom the run belongs to, it is no part
//! of the record, and what lies in it is gone once the record is sealed. A crash leaves it as it is: whoever takes the
//! run up finds it, and wipes it at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::leftovers::absolute;
use crate::ownership;

/// Its name in the run's directory.
const FOLDER: &str = "work";

#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    #[error("cannot {verb} the scratch folder {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("the scratch folder {} has a name that is not UTF-8", .0.display())]
    Name(PathBuf),
}

/// Where it is, whether it has been made or not.
#[derive(Debug, Clone)]
pub struct WorkFolder(PathBuf);

impl WorkFolder {
    pub fn of(run_dir: &Path) -> Self {
        Self(absolute(run_dir).join(FOLDER))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its path; it is there afterwards.
    ///
    /// # Errors
    /// It cannot be made, or is no folder, or cannot be spelled.
    pub fn ready(&self) -> Result<String, WorkError> {
        let failed = |source| WorkError::File { verb: "make", path: self.0.clone(), source };
        if self.0.is_symlink() {
            return Err(failed(io::Error::other("there is a symbolic link in its place")));
        }
        ownership::make_folder(&self.0).map_err(failed)?;
        self.0.to_str().map(str::to_owned).ok_or_else(|| WorkError::Name(self.0.clone()))
    }

    /// Removes it with everything in it. Nothing that a link in it points to is touched.
    ///
    /// # Errors
    /// Something in it cannot be removed, such as files of another user.
    pub fn wipe(&self) -> Result<(), WorkError> {
        let gone = |removed: io::Result<()>| match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        let failed = |source| WorkError::File { verb: "wipe", path: self.0.clone(), source };
        if self.0.is_symlink() {
            return gone(fs::remove_file(&self.0)).map_err(failed);
        }
        if gone(fs::remove_dir_all(&self.0)).is_ok() {
            return Ok(());
        }
        // Programs may have left folders that nobody may write to.
        open_up(&self.0);
        gone(fs::remove_dir_all(&self.0)).map_err(failed)
    }
}

/// Makes every folder below writable for its owner.
fn open_up(folder: &Path) {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // What stays closed is said by the removal that follows.
        let _closed = fs::set_permissions(&folder, Permissions::from_mode(0o700));
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        folders.extend(below.map(|entry| entry.path()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_for_its_owner_alone_and_wiped_whatever_lies_in_it() {
        let run = tempfile::tempdir().unwrap();
        let work = WorkFolder::of(run.path());
        assert!(!run.path().join("work").exists(), "nobody named it");
        let path = PathBuf::from(work.ready().unwrap());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(work.ready().unwrap(), path.to_str().unwrap(), "it stays where it is");

        let outside = run.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "x").unwrap();
        std::os::unix::fs::symlink(&outside, path.join("link")).unwrap();
        fs::create_dir_all(path.join("a/b")).unwrap();
        fs::write(path.join("a/b/c"), "x").unwrap();
        fs::set_permissions(path.join("a/b"), Permissions::from_mode(0o500)).unwrap();
        work.wipe().unwrap();
        assert!(!path.exists() && outside.join("kept").exists());
        work.wipe().unwrap();
    }

    #[test]
    fn a_link_in_its_place_is_refused() {
        let run = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), run.path().join("work")).unwrap();
        let work = WorkFolder::of(run.path());
        assert!(work.ready().unwrap_err().to_string().contains("symbolic link"));
        work.wipe().unwrap();
        assert!(elsewhere.path().exists() && !run.path().join("work").is_symlink());
    }
}
