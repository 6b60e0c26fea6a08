//! One request from arrival to delivery: the log, the faults, the effect. Owns the database while the
//! platform runs; never holds it across a wait, so that a stalled request holds up nobody else.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;
use tokio::time::sleep;

use super::answer::{Delivery, Problem, Refusal};
use super::call::Call;
use super::faults::{self, Fault, Kind, Moment};
use super::requests::{self, Outcome};
use super::routes::{self, Handled, House};
use super::state::{Secrets, State};
use super::switches;
use super::wire::Wire;
use crate::clock::{Clock, Timestamp};

pub(crate) struct Platform {
    database: Mutex<Connection>,
    secrets: Secrets,
    strict: bool,
    clock: Arc<dyn Clock>,
}

/// What a request meets on arrival.
enum Arrival {
    Proceed { seq: i64, stall: Option<Duration> },
    Over(Delivery),
}

impl Platform {
    pub(crate) fn new(state: State, strict: bool, clock: Arc<dyn Clock>) -> Self {
        let State { database, secrets } = state;
        Self { database: Mutex::new(database), secrets, strict, clock }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn serve(&self, mut call: Call, mut stop: watch::Receiver<bool>) -> Delivery {
        if switches::belongs(&call.path) {
            let answer = self.transact(|db| switches::handle(db, &self.secrets.login_password, &call));
            return Delivery::Send(answer.unwrap_or_else(Problem::into_answer));
        }
        let (seq, stall) = match self.transact(|db| arrive(db, &call)) {
            Ok(Arrival::Proceed { seq, stall }) => (seq, stall),
            Ok(Arrival::Over(delivery)) => return delivery,
            Err(problem) => return Delivery::Send(problem.into_answer()),
        };
        if let Some(delay) = stall
            && !waited(delay, &mut stop).await
        {
            return Delivery::Drop;
        }
        call.at = self.now();
        match self.transact(|db| self.carry_out(db, &call, seq)) {
            Ok((delivery, None)) => delivery,
            Ok((delivery, Some(delay))) if waited(delay, &mut stop).await => delivery,
            Ok(_) => Delivery::Drop,
            Err(problem) => Delivery::Send(problem.into_answer()),
        }
    }

    /// What to deliver, and after which stall.
    fn carry_out(
        &self,
        db: &Connection,
        call: &Call,
        seq: i64,
    ) -> Result<(Delivery, Option<Duration>), Problem> {
        let house = House { secrets: &self.secrets, strict: self.strict };
        let handled = match routes::handle(db, &house, call, seq) {
            Err(Problem::Refused(Refusal(answer))) => Handled::read(answer),
            other => other?,
        };
        let Handled { answer, effect, replayed } = handled;
        let fault = if effect || replayed { faults::take(db, seq, call, Moment::Effect)? } else { None };
        let (delivery, stall) = match fault {
            Some(Fault { kind: Kind::DropAfterEffect, .. }) => (Delivery::Drop, None),
            Some(Fault { kind: Kind::Stall, delay_ms, .. }) => {
                (Delivery::Send(answer), delay_ms.map(Duration::from_millis))
            }
            Some(_) => {
                let message = "the platform failed on purpose, after the write";
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                let wire = Wire::of_call(call);
                (Delivery::Send(wire.error(status, "error_after_effect", message)), None)
            }
            None => (Delivery::Send(answer), None),
        };
        let outcome = Outcome { effect, replayed, status: delivery.status() };
        requests::finish(db, seq, outcome)?;
        Ok((delivery, stall))
    }

    /// Everything `work` writes, or nothing.
    fn transact<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Problem>) -> Result<T, Problem> {
        let mut database = self.database();
        let tx = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    /// A panic under the lock has rolled its transaction back, so the connection is as good as before.
    fn database(&self) -> MutexGuard<'_, Connection> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Delivery {
    fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Send(answer) => Some(answer.status),
            Self::Drop => None,
        }
    }
}

fn arrive(db: &Connection, call: &Call) -> Result<Arrival, Problem> {
    let seq = requests::arrive(db, call)?;
    let Some(fault) = faults::take(db, seq, call, Moment::Arrival)? else {
        return Ok(Arrival::Proceed { seq, stall: None });
    };
    let wire = Wire::of_call(call);
    let delivery = match fault.kind {
        Kind::Stall => {
            let stall = fault.delay_ms.map(Duration::from_millis);
            return Ok(Arrival::Proceed { seq, stall });
        }
        Kind::DropBeforeEffect => Delivery::Drop,
        Kind::Unauthorized => {
            let Refusal(answer) = wire.unauthorized("token_expired", "the token has expired");
            Delivery::Send(answer)
        }
        Kind::ServerError => {
            let message = "the platform failed on purpose, before it did anything";
            Delivery::Send(wire.error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message))
        }
        _ => {
            let message = "too many requests, expected a pause as long as Retry-After says";
            let code = if wire == Wire::Stripe { "rate_limit" } else { "too_many_requests" };
            let answer = wire.error(StatusCode::TOO_MANY_REQUESTS, code, message);
            let pause = HeaderValue::from(fault.retry_after_s.unwrap_or(1));
            Delivery::Send(answer.with(header::RETRY_AFTER, pause))
        }
    };
    requests::finish(db, seq, Outcome { status: delivery.status(), ..Outcome::default() })?;
    Ok(Arrival::Over(delivery))
}

/// False: the platform stops before the time is over.
async fn waited(delay: Duration, stop: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = sleep(delay) => true,
        _ = stop.wait_for(|stopping| *stopping) => false,
    }
}
