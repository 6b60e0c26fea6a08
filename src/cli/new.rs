//! `consigne new`: a first runbook, from nothing or from Markdown. Writes files that are not there yet, and no others.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::args::{Lang, NewArgs};
use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use crate::author::first::{self, First};
use crate::author::procedure::Import;
use crate::author::runbook_id;
use crate::diag::Source;
use crate::runbook::environment::Environment;
use crate::runbook::schema::Category;
use crate::runbook::{check, load};

pub(super) fn new(args: &NewArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(false);
    let here = PathBuf::from("runbooks");
    let dir = match &args.dir {
        Some(dir) => dir.clone(),
        None if here.is_dir() => here,
        None => PathBuf::new(),
    };
    let french = args.lang.unwrap_or_else(super::drive::locale) == Lang::Fr;
    match &args.from {
        Some(markdown) => from_markdown(args, markdown, &dir, french, ui),
        None => from_nothing(args, &dir, french, ui),
    }
}

fn from_nothing(args: &NewArgs, dir: &Path, french: bool, ui: Ui) -> Result<Exit, CliError> {
    let id = good_id(args.id.as_deref().unwrap_or_default())?;
    let file = dir.join(format!("{id}.yaml"));
    let (inputs, answers) = (file.with_extension("inputs.yaml"), file.with_extension("answers.yaml"));
    let (typed, typed_answers) = (typed(&file), typed(&answers));
    let first = First {
        id,
        title: args.title.as_deref(),
        category: category(&args.category),
        french,
        file: &typed,
        answers: &typed_answers,
    };
    let mut files =
        vec![(file.clone(), first.runbook()), (inputs, first.inputs()), (answers, first.answers())];
    let practice = match Environment::find(&file, "practice") {
        Ok(found) => Some(found),
        Err(_) => {
            files.push((dir.join("environments/practice.yaml"), first::practice(french).to_owned()));
            None
        }
    };
    write_all(&files, ui)?;
    match practice {
        Some(found) => ui.say(&format!("drills use the environment {}", found.display())),
        None => ui.say("there was no environment `practice` to drill in, so one is written too"),
    }
    ui.hint(&format!("consigne check {typed}"));
    ui.hint(&format!("consigne drill {typed}"));
    ui.hint(&format!("consigne drill {typed} --answers {typed_answers}"));
    ui.hint(&format!("consigne print {typed}"));
    Ok(Exit::Done)
}

fn from_markdown(
    args: &NewArgs,
    markdown: &Path,
    dir: &Path,
    french: bool,
    ui: Ui,
) -> Result<Exit, CliError> {
    let unreadable = |problem| CliError::new(Exit::Usage, "nothing was written").with(vec![problem]);
    let source = load::source(markdown).map_err(unreadable)?;
    let name = markdown.file_name().unwrap_or_default().to_string_lossy();
    let stem = markdown.file_stem().unwrap_or_default().to_string_lossy();
    let made = args.section.as_deref().and_then(runbook_id).or_else(|| runbook_id(&stem));
    let id = match &args.id {
        Some(id) => good_id(id)?,
        None => made.as_deref().ok_or_else(|| {
            CliError::new(Exit::Usage, format!("no id can be made of the name `{name}`"))
                .hint("give one: consigne new --from FILE.md ID")
        })?,
    };
    let import = Import {
        markdown: source.text(),
        name: &name,
        id,
        title: args.title.as_deref(),
        section: args.section.as_deref(),
        french,
    };
    let procedure = import.procedure().map_err(|error| {
        CliError::new(Exit::Usage, format!("{}: {error}", markdown.display())).hint("nothing was written")
    })?;
    let file = dir.join(format!("{id}.yaml"));
    makes_sense(&file, &procedure.runbook)?;
    write_all_to_drill(vec![(file.clone(), procedure.runbook)], &file, french, ui)?;
    for note in &procedure.notes {
        ui.say(&format!("{}:{}: {}", markdown.display(), note.line, note.message));
    }
    let typed = typed(&file);
    let steps = if procedure.steps == 1 { "1 step".to_owned() } else { format!("{} steps", procedure.steps) };
    ui.say(&format!("{steps} by hand; commands are quoted in their messages, none is executed"));
    ui.hint(&format!("consigne check {typed}"));
    ui.hint(&format!("consigne drill {typed}"));
    ui.hint(&format!("consigne print {typed}"));
    Ok(Exit::Done)
}

/// What is written passes `check`; the one thing that may be wrong with it is its size.
fn makes_sense(file: &Path, text: &str) -> Result<(), CliError> {
    let (document, mut problems) = load::runbook(&Source::new(file.display().to_string(), text.to_owned()));
    problems.extend(document.iter().flat_map(|document| check::check(document, None)));
    if document.is_none() || crate::diag::has_errors(&problems) {
        let message = "no runbook can be made of this Markdown; nothing was written";
        return Err(CliError::new(Exit::Invalid, message).with(problems));
    }
    Ok(())
}

fn good_id(id: &str) -> Result<&str, CliError> {
    if !id.is_empty() && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        return Ok(id);
    }
    let message = format!("`{id}` is not an id of a runbook, expected small letters, digits and `-`");
    let error = CliError::new(Exit::Usage, message);
    Err(match runbook_id(id) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    })
}

fn category(word: &str) -> Category {
    let all = [Category::Routine, Category::Emergency, Category::Maintenance, Category::Check];
    // The command line takes these words only.
    all.into_iter().find(|category| category.name() == word).unwrap_or(Category::Routine)
}

/// A path as it is typed in a shell.
fn typed(path: &Path) -> String {
    shell_words::quote(&path.display().to_string()).into_owned()
}

/// Writes the files of a runbook, and an environment to drill it in where there is none.
fn write_all_to_drill(
    mut files: Vec<(PathBuf, String)>,
    runbook: &Path,
    french: bool,
    ui: Ui,
) -> Result<(), CliError> {
    let found = Environment::find(runbook, "practice");
    if found.is_err() {
        let practice = runbook.with_file_name("environments").join("practice.yaml");
        files.push((practice, first::practice(french).to_owned()));
    }
    write_all(&files, ui)?;
    ui.say(&match found {
        Ok(found) => format!("drills use the environment {}", found.display()),
        Err(_) => "there was no environment `practice` to drill in, so one is written too".to_owned(),
    });
    Ok(())
}

/// Writes files that are not there yet: all of them, or none when one is there.
fn write_all(files: &[(PathBuf, String)], ui: Ui) -> Result<(), CliError> {
    if let Some((taken, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        return Err(CliError::new(
            Exit::Usage,
            format!("{} is there already, nothing was written", taken.display()),
        )
        .hint("take another id, or another folder with --dir"));
    }
    for (path, text) in files {
        let unwritable = |error: std::io::Error| CliError::file(Exit::Usage, "write", path, &error);
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(unwritable)?;
        }
        let mut file = std::fs::File::create_new(path).map_err(unwritable)?;
        file.write_all(text.as_bytes()).map_err(unwritable)?;
        ui.say(&format!("wrote {}", path.display()));
    }
    Ok(())
}
