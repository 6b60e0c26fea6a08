//! Whose the files of a run are: one user's, or a group's.
//!
//! Owns the modes of everything that is written. What is made in a folder that is setgid and writable for its group
//! belongs to that group too (0660, folders 2770), whatever the umask says; anywhere else it is its maker's alone
//! (0600, 0700). So a team says once, of one folder, that it shares its runs. Nothing here makes a file that exists
//! already more open.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const SETGID_AND_GROUP_WRITES: u32 = 0o2020;

/// Whether what is made in this folder belongs to its group.
pub fn is_group_owned(folder: &Path) -> bool {
    fs::metadata(folder)
        .is_ok_and(|it| it.is_dir() && it.mode() & SETGID_AND_GROUP_WRITES == SETGID_AND_GROUP_WRITES)
}

/// The mode of files made in this folder.
pub fn file_mode(folder: &Path) -> u32 {
    if is_group_owned(folder) { 0o660 } else { 0o600 }
}

/// Makes a folder, and those above it.
///
/// # Errors
/// As the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = folder_of(path);
    if above != path && !above.is_dir() {
        make_folder(above)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) if is_group_owned(above) => fs::set_permissions(path, Permissions::from_mode(0o2770)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

/// Opens a file as `options` say; one that is made gets the mode of its folder.
///
/// # Errors
/// As the system says.
pub fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.mode(0o600).open(path)?;
    hand_over(&file, folder_of(path))?;
    Ok(file)
}

/// Gives a file that was made for its maker alone to the group, where the folder it is in is a group's.
///
/// # Errors
/// As the system says.
pub fn hand_over(file: &File, folder: &Path) -> io::Result<()> {
    if !is_group_owned(folder) {
        return Ok(());
    }
    let found = file.metadata()?;
    // Only its maker may change its mode, and need not where it has it.
    if found.mode() & 0o777 == 0o600 && found.uid() == rustix::process::geteuid().as_raw() {
        file.set_permissions(Permissions::from_mode(0o660))?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_made_is_the_makers_alone_unless_the_folder_is_a_groups() {
        let folder = tempfile::tempdir().unwrap();
        let made = |below: &str| {
            let path = folder.path().join(below).join("a/b");
            make_folder(&path).unwrap();
            let file = path.join("file");
            open(OpenOptions::new().create(true).append(true), &file).unwrap();
            open(OpenOptions::new().create(true).append(true), &file).unwrap();
            (mode(path.parent().unwrap()), mode(&path), mode(&file), file_mode(&path))
        };
        assert_eq!(made("own"), (0o700, 0o700, 0o600, 0o600));
        fs::create_dir(folder.path().join("team")).unwrap();
        fs::set_permissions(folder.path().join("team"), Permissions::from_mode(0o2770)).unwrap();
        assert_eq!(made("team"), (0o2770, 0o2770, 0o660, 0o660));
        // Either alone shares nothing.
        for other in [0o2750, 0o770] {
            fs::create_dir(folder.path().join(format!("{other:o}"))).unwrap();
            fs::set_permissions(folder.path().join(format!("{other:o}")), Permissions::from_mode(other))
                .unwrap();
            let (_, below, file, _) = made(&format!("{other:o}"));
            assert_eq!((below & 0o777, file), (0o700, 0o600), "{other:o}");
        }
    }

    #[test]
    fn a_file_that_is_there_is_not_opened_up() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o2770)).unwrap();
        let path = folder.path().join("kept");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
        open(OpenOptions::new().read(true), &path).unwrap();
        assert_eq!(mode(&path), 0o400);
    }
}
