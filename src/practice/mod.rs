//! The practice platform: an HTTP double of the attendance-x admin API, to drill against and to test with.
//!
//! It owns its state folder and nothing else: the SQLite file, `admin-token` and `login-password`. It knows
//! nothing of runbooks, runs or journals (it imports `diag` and `clock` only), so that what a drill proves is
//! proved over the wire. It must never listen beyond loopback unasked, and never talk to another host.
//!
//! Laws:
//! - One request is at most two transactions: its arrival, and its effect together with the line of the
//!   request log that tells of it. A kill leaves both or neither, so the log can be held against the engine's
//!   journal.
//! - A fault is a rule that is stored, matched and used up inside those transactions: it survives a restart
//!   and never fires more often than it was asked for.
//! - A request that has been read is carried out even if its caller has left, as real servers do; only a stop
//!   of the platform ends a stall early, and then without effect.
//!
//! | path | answers |
//! |---|---|
//! | `POST GET /admin/tenants`, `GET PATCH /admin/tenants/{id}` | tenants; the list takes `email`, `status` |
//! | `GET /admin/tenants/{id}/jobs` | `[{name, state}]` |
//! | `POST /admin/notifications/send`, `GET /admin/notifications?tenantId=` | the outbox |
//! | `GET /admin/audit?tenantId=`, `GET /admin/metrics/usage` | what was changed; calls per tenant |
//! | `GET /health` with `X-Tenant-ID`, `POST /login` | what a tenant's own users see |
//! | `GET /metrics`, `GET /api/v1/query?query=` | monitoring |
//! | `/practice/requests`, `/practice/faults`, `/practice/logins` | the workings, for tests and trainers |

mod access;
mod answer;
mod audit;
mod call;
mod error;
mod faults;
mod idempotency;
mod metrics;
mod notifications;
mod platform;
mod requests;
mod routes;
mod seed;
mod server;
mod state;
mod switches;
mod tenants;

pub use error::PracticeError;
pub use server::{Options, serve};
pub use state::{ADMIN_TOKEN_FILE, LOGIN_PASSWORD_FILE};
