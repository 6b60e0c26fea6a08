//! `consigne practice`: the practice platform, served until told to stop.

use std::net::SocketAddr;

use super::args::PracticeArgs;
use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use crate::practice::{MailboxOptions, Options, serve, serve_mailbox};

pub(super) fn practice(args: &PracticeArgs) -> Result<Exit, CliError> {
    let ui = Ui::new(false);
    if args.mailbox {
        let options =
            MailboxOptions { bind: SocketAddr::new(args.bind, args.port), state: args.state.clone() };
        let served = super::runtime()?.block_on(serve_mailbox(options, told_to_stop(), |addr| {
            ui.data(&format!("listening on smtp://{addr}"));
        }));
        served.map_err(|error| CliError::new(Exit::Invalid, error.to_string()))?;
        return Ok(Exit::Done);
    }
    let mut options = Options::new(&args.state);
    options.bind = SocketAddr::new(args.bind, args.port);
    options.strict = args.strict;
    let served = super::runtime()?.block_on(serve(options, told_to_stop(), |addr| {
        ui.data(&format!("listening on http://{addr}"));
    }));
    served.map_err(|error| CliError::new(Exit::Invalid, error.to_string()))?;
    Ok(Exit::Done)
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
