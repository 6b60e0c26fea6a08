//! The practice platform: an HTTP double of the attendance-x admin API, to drill against and to test with.
//!
//! It owns its state folder and nothing else: the SQLite file and the secrets beside it. It knows
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
//! | `POST /admin/tenants/{id}/users` | gives a person access |
//! | `GET DELETE /admin/creations/{key}` | what a creation under that key made; takes it back |
//! | `POST /admin/notifications/send`, `GET /admin/notifications?tenantId=` | the outbox |
//! | `POST GET /admin/api-keys`, `GET DELETE /admin/api-keys/{id}` | keys that programs read with, said once |
//! | `GET PUT /admin/consumers/{name}` | which of them a program uses |
//! | `GET /admin/audit?tenantId=`, `GET /admin/metrics/usage` | what was changed; calls per tenant |
//! | `GET /health`, `GET /users` with `X-Tenant-ID`, `POST /login` | what a tenant's own users see |
//! | `GET /metrics`, `GET /api/v1/query?query=` | monitoring |
//! | `/stripe/v1/…`, `/firestore/v1/…`, `/mail/api/email` | the systems beside the platform, in their own forms |
//! | `POST /slack/services/{token}`, `GET /slack/messages` | an incoming webhook, and what came in by it |
//! | `/practice/requests`, `/practice/faults`, `/practice/logins` | the workings, for tests and trainers |

mod access;
mod answer;
mod api_keys;
mod audit;
mod call;
mod creations;
mod error;
mod faults;
mod firestore;
mod idempotency;
mod mail;
mod mailbox;
mod metrics;
mod notifications;
mod platform;
mod requests;
mod routes;
mod seed;
mod server;
mod slack;
mod state;
mod stripe;
mod stripe_seed;
mod switches;
mod tenants;
mod users;
mod wire;

pub use error::PracticeError;
pub use mailbox::{MailboxOptions, serve_mailbox};
pub use server::{Options, serve};
pub use state::{
    ADMIN_TOKEN_FILE, FIRESTORE_TOKEN_FILE, LOGIN_PASSWORD_FILE, SLACK_WEBHOOK_FILE, STRIPE_KEY_FILE,
};
