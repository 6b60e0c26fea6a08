//! Services of a practice environment: started before the first entry, adopted or restarted on resume, stopped at
//! every ending. They outlive the death of consigne itself on purpose, so that a resumed drill finds its platform.

use std::net::TcpListener;
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::core::{AttemptKey, AttemptRequest, AttemptResult, Role};
use crate::ownership;
use crate::plan::Effect;
use crate::plan::service::Service;
use crate::runner::{
    LivingService, OwnedProcess, RunContext, Runners, TailSink, cancellation, living_services,
};

/// How long it may take to end after TERM.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks whether a service that gets ready still lives.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long it may take until its port takes connections.
const START: Duration = Duration::from_secs(30);
/// Ports for services.
const PORTS: Range<u16> = 20_000..32_000;
const PORT_TRIES: u32 = 100;

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("cannot find a free port: {0}")]
    Port(std::io::Error),
    #[error("cannot {verb} {}: {source}", path.display())]
    File { verb: &'static str, path: PathBuf, source: std::io::Error },
    #[error("service `{name}`: cannot start `{program}`: {source}")]
    Start { name: String, program: String, source: std::io::Error },
    #[error("service `{name}` did not get ready ({reason}); its output is in {}", log.display())]
    NotReady { name: String, reason: String, log: PathBuf },
    #[error("service `{name}` is still being ended by somebody else")]
    Procs { name: String },
    #[error(transparent)]
    Leftovers(#[from] crate::runner::LeftoverError),
}

/// Running services of one run.
#[derive(Debug, Default)]
pub struct Running {
    services: Vec<One>,
}

#[derive(Debug)]
struct One {
    name: String,
    process: LivingService,
    _owned: Option<OwnedProcess>,
}

/// A port that is free now, and likely to be so when a resume needs it again: below those that systems hand out to
/// outgoing connections.
///
/// # Errors
/// The system gives none.
pub fn free_port() -> Result<u16, ServiceError> {
    for _ in 0..PORT_TRIES {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| ServiceError::Port(error.into()))?;
        let port = PORTS.start + u16::from_le_bytes(random) % (PORTS.end - PORTS.start);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(ServiceError::Port)?;
    listener.local_addr().map(|addr| addr.port()).map_err(ServiceError::Port)
}

/// The private folder of a service.
pub fn state_folder(run_dir: &Path, name: &str) -> PathBuf {
    run_dir.join("services").join(name)
}

impl Running {
    /// Adopts what is still alive, starts the rest, and waits until all of it is ready.
    ///
    /// # Errors
    /// A service cannot be started, or does not get ready in time.
    pub async fn up(
        services: &[Service],
        run_dir: &Path,
        context: &RunContext,
        runners: &Runners,
    ) -> Result<Self, ServiceError> {
        let mut alive = living_services(run_dir, &context.run)?;
        let mut running = Self::default();
        for service in services {
            let log = run_dir.join("services").join(format!("{}.log", service.name));
            let adopted = alive.iter().position(|living| living.name == service.name);
            let one = match adopted {
                Some(at) => One { name: service.name.clone(), process: alive.swap_remove(at), _owned: None },
                None => start(service, &log, context)?,
            };
            let ready = ready(service, &one.process, context, runners).await;
            running.services.push(one);
            if let Err(reason) = ready {
                running.down().await;
                return Err(ServiceError::NotReady { name: service.name.clone(), reason, log });
            }
        }
        // Started twice, by a process that died before it could take note of the first.
        Self::of(alive).down().await;
        Ok(running)
    }

    fn of(living: Vec<LivingService>) -> Self {
        let one = |process: LivingService| One { name: process.name.clone(), process, _owned: None };
        Self { services: living.into_iter().map(one).collect() }
    }

    /// Ends all of them: TERM, some grace, KILL.
    pub async fn down(&mut self) {
        for one in self.services.drain(..).rev() {
            if !one.process.end(GRACE).await {
                tracing::warn!(service = one.name, "a service could not be ended");
            }
        }
    }
}

/// Ends the services of a run that no process drives any more.
///
/// # Errors
/// They cannot be found.
pub(super) async fn end_living(run_dir: &Path, run: &str) -> Result<(), ServiceError> {
    Running::of(living_services(run_dir, run)?).down().await;
    Ok(())
}

fn start(service: &Service, log: &Path, context: &RunContext) -> Result<One, ServiceError> {
    let file_error = |verb, path: &Path| {
        let path = path.to_owned();
        move |source| ServiceError::File { verb, path, source }
    };
    if let Some(folder) = log.parent() {
        ownership::make_folder(folder).map_err(file_error("create", folder))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    let output = ownership::open(&mut options, log).map_err(file_error("open", log))?;
    let errors = output.try_clone().map_err(file_error("open", log))?;
    let named = service.argv.first().map_or("", String::as_str);
    let program = if named == "consigne" {
        std::env::current_exe().map_err(file_error("find", Path::new(named)))?
    } else {
        PathBuf::from(named)
    };
    let mut owned = OwnedProcess::announce();
    let child = Command::new(&program)
        .args(service.argv.iter().skip(1))
        .env_clear()
        .envs(context.inherited.variables())
        .envs(service.env.iter().map(|(name, value)| (name, value)))
        .env("CONSIGNE_RUN", &context.run)
        .env("CONSIGNE_RUN_DIR", &context.dir)
        .env("CONSIGNE_SERVICE", &service.name)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0)
        .spawn()
        .map_err(|source| ServiceError::Start {
            name: service.name.clone(),
            program: program.display().to_string(),
            source,
        })?;
    owned.is(child.id());
    context.note_service(child.id(), &service.name)?;
    let process = LivingService::of(child.id(), &service.name)
        .ok_or_else(|| ServiceError::Procs { name: service.name.clone() })?;
    Ok(One { name: service.name.clone(), process, _owned: Some(owned) })
}

/// Waits until a service may be used: the probe of a service polls.
async fn ready(
    service: &Service,
    process: &LivingService,
    context: &RunContext,
    runners: &Runners,
) -> Result<(), String> {
    if service.tcp {
        takes_connections(service.port, process).await?;
    }
    let Some(probe) = service.ready.clone() else { return Ok(()) };
    let request = AttemptRequest {
        key: AttemptKey { step: format!("service_{}", service.name), item: None, attempt: 1 },
        role: Role::First,
        part: None,
        effect: Effect::Read,
        probe,
        timeout_ms: 5_000,
        idempotency_key: None,
    };
    let (stop, told) = cancellation();
    let mut asked = std::pin::pin!(runners.run(request, context, told, TailSink::none()));
    let outcome = tokio::select! {
        outcome = &mut asked => outcome,
        () = gone(process) => {
            stop.kill();
            asked.await
        }
    };
    match outcome.result {
        // Somebody else may answer on the port of a service that is dead.
        _ if !process.is_alive() => Err("it has ended".to_owned()),
        AttemptResult::Succeeded => Ok(()),
        _ => Err(outcome.reason),
    }
}

/// Waits until the port of a service takes connections.
async fn takes_connections(port: u16, process: &LivingService) -> Result<(), String> {
    let connected = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::select! {
        () = connected => {}
        () = gone(process) => {}
        () = tokio::time::sleep(START) => return Err("timeout".to_owned()),
    }
    // Somebody else may answer on the port of a service that is dead.
    if process.is_alive() { Ok(()) } else { Err("it has ended".to_owned()) }
}

async fn gone(process: &LivingService) {
    while process.is_alive() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
