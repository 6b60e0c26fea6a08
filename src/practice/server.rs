//! The HTTP side: the listener, the connections, and an orderly end. It turns bytes into calls and deliveries
//! into bytes, or into a connection that is closed without any; it decides nothing about either.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Query;
use axum::http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{Answer, Delivery};
use super::call::Call;
use super::error::PracticeError;
use super::platform::Platform;
use super::state::{State, publish_webhook};
use crate::clock::{Clock, SystemClock};

const LARGEST_BODY: usize = 1 << 20;
/// For a connection that is idle or still sending when the platform stops.
const FAREWELL: Duration = Duration::from_millis(500);
/// After a failed accept, which is mostly a lack of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// How to run a practice platform.
#[derive(Clone)]
pub struct Options {
    /// Port 0 takes a free one.
    pub bind: SocketAddr,
    /// Made with mode 0700 when absent.
    pub state: PathBuf,
    /// Refuse the two calls that the procedures send without a content type, as a stricter server would.
    pub strict: bool,
    pub clock: Arc<dyn Clock>,
}

impl Options {
    /// On loopback, on a free port, with the state in that folder.
    pub fn new(state: impl Into<PathBuf>) -> Self {
        Self {
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            state: state.into(),
            strict: false,
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bind, state, strict, clock: _ } = self;
        f.debug_struct("Options")
            .field("bind", bind)
            .field("state", state)
            .field("strict", strict)
            .finish_non_exhaustive()
    }
}

/// Serves until `shutdown` is ready. `ready` is called once, with the address, when connections are accepted.
/// When this returns, the state folder is closed and can be served again.
///
/// # Errors
/// When the state folder cannot be used or the address cannot be had. Once `ready` was called it is only
/// `shutdown` that ends it.
pub async fn serve(
    options: Options,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), PracticeError> {
    let Options { bind, state, strict, clock } = options;
    let opened = State::open(&state)?;
    let token = opened.secrets.slack_token.clone();
    let platform = Arc::new(Platform::new(opened, strict, clock));
    let listen = |source| PracticeError::Listen { bind, source };
    let listener = TcpListener::bind(bind).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    publish_webhook(&state, &format!("http://{address}/slack/services/{token}"))?;
    ready(address);

    let (stop, stopped) = watch::channel(false);
    let (working, mut all_done) = mpsc::channel::<()>(1);
    let host = Host { platform, stopped, _working: working };
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(host.clone().keep(stream, peer));
                }
                Err(_lack) => sleep(BREATH).await,
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(host);
    stop.send_replace(true);
    let quiet = async { while connections.join_next().await.is_some() {} };
    let _slow_ones_are_cut_off = timeout(FAREWELL, quiet).await;
    connections.shutdown().await;
    // Requests that were being carried out when their connection went: each ends by itself, at once.
    while all_done.recv().await.is_some() {}
    Ok(())
}

/// What a connection needs. The fields go in this order: whoever waits for `_working` finds the state closed.
#[derive(Clone)]
struct Host {
    platform: Arc<Platform>,
    stopped: watch::Receiver<bool>,
    _working: mpsc::Sender<()>,
}

/// Ends a connection without a byte of an answer.
#[derive(Debug, Error)]
#[error("the connection is closed on purpose")]
struct Dropped;

impl Host {
    async fn keep(self, stream: TcpStream, peer: SocketAddr) {
        let mut stopped = self.stopped.clone();
        let service = service_fn(|request| self.clone().answer(request, peer));
        let connection =
            http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        // A broken connection is its peer's business: there is nobody left to tell.
        tokio::select! {
            _ended = connection.as_mut() => return,
            _ = stopped.wait_for(|stopping| *stopping) => {}
        }
        connection.as_mut().graceful_shutdown();
        let _ended = connection.await;
    }

    async fn answer(self, request: Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Dropped> {
        let (head, body) = request.into_parts();
        let Ok(body) = to_bytes(Body::new(body), LARGEST_BODY).await else {
            let message = format!("the body is larger than {LARGEST_BODY} bytes");
            return Ok(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message).into_response());
        };
        let parameters = Query::<BTreeMap<String, String>>::try_from_uri(&head.uri);
        let call = Call {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().map(str::to_owned),
            // Any query reads as a map of strings; bytes that are not UTF-8 become marks that match nothing.
            parameters: parameters.map(|Query(parameters)| parameters).unwrap_or_default(),
            headers: head.headers,
            body,
            at: self.platform.now(),
            from_loopback: peer.ip().to_canonical().is_loopback(),
        };
        // On a task of its own, so that a caller who hangs up does not undo what he asked for.
        let work = tokio::spawn(async move {
            let stopped = self.stopped.clone();
            self.platform.serve(call, stopped).await
        });
        match work.await {
            Ok(Delivery::Send(answer)) => Ok(answer.into_response()),
            Ok(Delivery::Drop) => Err(Dropped),
            Err(_panic) => {
                let (status, message) = (StatusCode::INTERNAL_SERVER_ERROR, "the platform has a bug");
                Ok(Answer::error(status, "platform_failure", message).into_response())
            }
        }
    }
}
