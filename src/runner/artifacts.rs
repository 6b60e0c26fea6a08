//! Artifacts: files that a step leaves, taken into the run's blobs once it has succeeded.
//!
//! Owns which file may be one: a regular file of this machine, reached by no link in its last place; in the scratch
//! folder, one that really lies there. It is copied piece by piece, never held in memory. A file with a secret in it is
//! refused: what the record keeps is there for good, and a masked file would be another one than the step left.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::OFlags;

use super::blobs::{BlobError, Blobs};
use super::judge::Breach;
use super::mask::{Masker, StreamMasker};
use super::{CancelLevel, CancelToken, RunContext};
use crate::core::attempt::ARTIFACT;
use crate::core::{AttemptRequest, BlobRef};
use crate::plan::Action;
use crate::runbook::template::{Rendered, Segment};

/// It is there, and could not be kept: what the step did stands.
pub(super) const UNKEPT: &str = "artifact_unkept";
const MISSING: &str = "artifact_missing";
const REFUSED: &str = "artifact_refused";
const SECRET: &str = "artifact_secret";

/// The files that the step declares, each by its name as the outcome has it.
pub(super) async fn collect(
    request: &AttemptRequest,
    context: &RunContext,
    cancel: &CancelToken,
) -> Result<BTreeMap<String, BlobRef>, Breach> {
    let mut out = BTreeMap::new();
    if request.probe.artifacts.is_empty() {
        return Ok(out);
    }
    let folder = folder(request, context)?;
    for artifact in &request.probe.artifacts {
        let path = folder.join(text(&artifact.path, context)?);
        let inside = artifact.path.uses_work().then(|| context.work.path().to_owned());
        let (blobs, masker, cancel) = (context.blobs.clone(), context.secrets.masker(), cancel.clone());
        let copying = tokio::task::spawn_blocking(move || {
            let file = open(&path, inside.as_deref())?;
            copy(file, &path, &blobs, &masker, &cancel)
        });
        let copied = match copying.await {
            Ok(copied) => copied,
            Err(_) => Err(Trouble::Unkept("copying it broke off".to_owned())),
        };
        match copied {
            Ok(blob) => drop(out.insert(format!("{ARTIFACT}{}", artifact.name), blob)),
            Err(Trouble::Missing(_)) if artifact.optional => {}
            Err(trouble) => return Err(trouble.about(&artifact.name)),
        }
    }
    Ok(out)
}

enum Trouble {
    Missing(String),
    Refused(String),
    Secret,
    Unkept(String),
}

impl Trouble {
    fn about(self, name: &str) -> Breach {
        let (reason, why) = match self {
            Self::Missing(why) => (MISSING, why),
            Self::Refused(why) => (REFUSED, why),
            Self::Secret => (SECRET, "it holds a secret, and the record keeps no secret".to_owned()),
            Self::Unkept(why) => (UNKEPT, why),
        };
        Breach { reason, message: format!("artifact `{name}`: {why}") }
    }
}

impl From<BlobError> for Trouble {
    fn from(error: BlobError) -> Self {
        Self::Unkept(error.to_string())
    }
}

/// The folder that the program ran in.
fn folder(request: &AttemptRequest, context: &RunContext) -> Result<PathBuf, Breach> {
    let cwd = match &request.probe.action {
        Action::Shell(call) => call.cwd.as_ref(),
        Action::Argv(call) => call.cwd.as_ref(),
        Action::Http(_) | Action::Notify(_) | Action::Remote(_) => {
            let message = "only programs of this machine leave files here".to_owned();
            return Err(Breach { reason: REFUSED, message });
        }
    };
    Ok(match cwd {
        Some(cwd) => context.base_dir.join(text(cwd, context)?),
        None => context.base_dir.clone(),
    })
}

fn text(rendered: &Rendered, context: &RunContext) -> Result<String, Breach> {
    let mut out = String::new();
    for segment in rendered.segments() {
        match segment {
            Segment::Text(text) => out.push_str(text),
            Segment::Work => {
                let work = context.work.ready();
                out.push_str(&work.map_err(|error| Breach { reason: MISSING, message: error.to_string() })?);
            }
            Segment::Secret(_) | Segment::Later(_) => {
                let message = "the path of a file is known, and no secret".to_owned();
                return Err(Breach { reason: REFUSED, message });
            }
        }
    }
    Ok(out)
}

/// Opens what may be an artifact. `inside`: it has to lie below.
fn open(path: &Path, inside: Option<&Path>) -> Result<File, Trouble> {
    let shown = path.display();
    let refused = |why: &str| Trouble::Refused(format!("{shown} {why}"));
    if path.to_str().is_some_and(|path| path.contains('\0')) {
        return Err(Trouble::Refused("its path holds a NUL byte".to_owned()));
    }
    let mut options = OpenOptions::new();
    // A pipe that nobody writes to is refused, not waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match options.read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Trouble::Missing(format!("{shown} is not there")));
        }
        Err(_) if path.is_symlink() => return Err(refused("is a symbolic link")),
        Err(error) => return Err(refused(&format!("cannot be read: {error}"))),
    };
    if !file.metadata().is_ok_and(|file| file.is_file()) {
        return Err(refused("is no regular file"));
    }
    if let Some(inside) = inside {
        // Where it really lies, by what was opened and not by its name.
        let real = std::fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
        let lies = |real: PathBuf| Some(real.starts_with(std::fs::canonicalize(inside).ok()?));
        if real.ok().and_then(lies) != Some(true) {
            return Err(refused("leads out of the scratch folder"));
        }
    }
    Ok(file)
}

fn copy(
    mut file: File,
    path: &Path,
    blobs: &Arc<Blobs>,
    masker: &Masker,
    cancel: &CancelToken,
) -> Result<BlobRef, Trouble> {
    let mut blob = blobs.create()?;
    let mut stream = StreamMasker::new();
    let (mut buffer, mut out) = (vec![0; 64 * 1024], Vec::new());
    let (mut read, mut kept) = (0_usize, 0_usize);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Trouble::Unkept(format!("cannot read {}: {error}", path.display()))),
        };
        if cancel.level() >= CancelLevel::Kill {
            return Err(Trouble::Unkept("it was told to stop".to_owned()));
        }
        out.clear();
        stream.push(masker, &buffer[..count], &mut out);
        (read, kept) = (read + count, kept + out.len());
        blob.write(&out)?;
    }
    out.clear();
    stream.finish(masker, &mut out);
    blob.write(&out)?;
    // Every secret is longer than what stands for it.
    if read != kept + out.len() {
        return Err(Trouble::Secret);
    }
    Ok(blob.keep()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(path: &Path, inside: Option<&Path>) -> Result<(u64, String), &'static str> {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(Blobs::below(folder.path().join("blobs")));
        let masker = Masker::of(["canary-s3cret"]);
        let blob =
            open(path, inside).and_then(|file| copy(file, path, &blobs, &masker, &CancelToken::never()));
        let left = |blobs: &Blobs| {
            blobs.folder_exists() && folder.path().join("blobs").read_dir().unwrap().count() > 0
        };
        match blob {
            Ok(blob) => {
                assert_eq!(std::fs::read(blobs.path(&blob)).unwrap(), std::fs::read(path).unwrap());
                Ok((blob.bytes, blob.sha256))
            }
            Err(trouble) => {
                assert!(!left(&blobs), "nothing of it stays");
                Err(trouble.about("x").reason)
            }
        }
    }

    #[test]
    fn only_a_regular_file_where_it_says_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("file"), "theirs").unwrap();
        std::fs::write(work.join("file"), "ours").unwrap();
        std::fs::write(work.join("empty"), "").unwrap();
        let (bytes, sha256) = taken(&work.join("file"), Some(&work)).unwrap();
        assert_eq!((bytes, sha256), (4, super::super::blobs::sha256(b"ours")));
        assert_eq!(taken(&work.join("empty"), Some(&work)).unwrap().0, 0);
        assert_eq!(taken(&work.join("none"), Some(&work)), Err(MISSING));

        std::os::unix::fs::symlink(outside.join("file"), work.join("link")).unwrap();
        std::os::unix::fs::symlink(&outside, work.join("folder")).unwrap();
        for (path, inside) in [
            (work.join("link"), Some(work.as_path())),
            (work.join("link"), None),
            (work.join("folder/file"), Some(work.as_path())),
            (work.join("../outside/file"), Some(work.as_path())),
            (work.clone(), None),
            (PathBuf::from("/dev/zero"), None),
        ] {
            assert_eq!(taken(&path, inside), Err(REFUSED), "{}", path.display());
        }
        assert!(taken(&work.join("folder/file"), None).is_ok(), "a path of its own choice may be any");
        let pipe = work.join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(taken(&pipe, None), Err(REFUSED), "nobody waits for a pipe");
    }

    #[test]
    fn a_file_with_a_secret_is_refused_wherever_the_secret_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for before in [0, 5, 64 * 1024 - 6, 200_000] {
            std::fs::write(&path, format!("{}canary-s3cret", "x".repeat(before))).unwrap();
            assert_eq!(taken(&path, None), Err(SECRET), "{before}");
        }
        std::fs::write(&path, vec![0xff; 300_000]).unwrap();
        assert_eq!(taken(&path, None).unwrap().0, 300_000);
    }
}
