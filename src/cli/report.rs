//! `consigne report`: the run in words. Public fields only, unless asked to open what is disclosed.

use super::args::ReportArgs;
use super::error::CliError;
use super::exit::Exit;
use super::home::Home;
use super::ui::Ui;
use super::{drive, verify};
use crate::record::build;
use crate::record::keys::ExecutorKey;

pub(super) fn report(args: &ReportArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(args.run.json);
    let home = Home::find(args.run.runs.as_deref())?;
    let dir = home.run_dir(&args.run.run)?;
    let verified =
        if args.verified { Some(verify::verified(&dir, &home, args.trust.as_deref(), None)?) } else { None };
    let host =
        ExecutorKey::load(&home.root).map_or_else(|_| super::keys::host_name(), |key| key.host().to_owned());
    let text = build::report(&dir, ("x", &host), args.open, args.lang.map(super::args::Lang::code))
        .map_err(|error| drive::record_error(&error))?;
    let text = format!("{}{}", text, looked_at(&dir, &home, args)?);
    if args.run.json {
        ui.json(&serde_json::json!({"report": text, "verification": verified}));
        return Ok(Exit::Done);
    }
    if let Some(found) = verified {
        ui.data("```");
        for line in verify::verdict_lines(&found) {
            ui.data(&line);
        }
        ui.data("```\n");
    }
    ui.data(text.trim_end());
    Ok(Exit::Done)
}

/// What has been said since of the gates that were opened alone: the report itself is sealed before.
fn looked_at(dir: &std::path::Path, home: &Home, args: &ReportArgs) -> Result<String, CliError> {
    let state = super::show::look(dir)?.state;
    let gates = super::review::of_run(dir, home, &state);
    if gates.is_empty() {
        return Ok(String::new());
    }
    let french = args.lang.map_or(state.run.lang == "fr", |lang| lang == super::args::Lang::Fr);
    let now = drive::clock().now();
    let mut out = format!("\n\n## {}\n\n", if french { "Revues" } else { "Reviews" });
    for line in gates.iter().flat_map(|gate| super::review::lines(gate, french, now)) {
        let deeper = line.starts_with(' ');
        out.push_str(&format!(
            "{}- {}\n",
            if deeper { "  " } else { "" },
            crate::operator::harmless(line.trim())
        ));
    }
    Ok(out)
}
