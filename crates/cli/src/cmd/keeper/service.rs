//! What a keeper tells the service manager (sd_notify(3)): that it is ready, and that its loops turn.

use std::time::Duration;

use super::pages::Gate;

/// Between two looks whether it is ready.
const LOOK: Duration = Duration::from_millis(250);
/// How much longer it may take to become ready while its loops turn: it may wait for a store or a primary for hours. A
/// keeper that hangs before that is started again.
const MORE_TIME: &str = "EXTEND_TIMEOUT_USEC=30000000";

/// Tell it, for as long as this is polled.
pub(super) async fn tell(gate: &Gate) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return std::future::pending().await;
    }
    while let Err(why) = gate.ready() {
        tracing::debug!(why, "not ready");
        if gate.lives().is_ok() {
            notify(MORE_TIME);
        }
        tokio::time::sleep(LOOK).await;
    }
    notify("READY=1");
    let wanted = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
    // Half of the interval, as sd_watchdog_enabled(3) wants.
    let Some(every) = wanted.map(|micros: u64| Duration::from_micros(micros / 2)) else {
        return std::future::pending().await;
    };
    loop {
        match gate.lives() {
            Ok(_) => notify("WATCHDOG=1"),
            Err(why) => tracing::error!(why, "the watchdog is not fed"),
        }
        // Not oftener than is of use, whatever is asked for.
        tokio::time::sleep(every.max(Duration::from_millis(100))).await;
    }
}

/// Tell the service manager, if there is one (sd_notify(3)): a datagram to the socket it names.
pub(super) fn notify(word: &str) {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let told = UnixDatagram::unbound().and_then(|socket| {
        // A path that begins with @ is a name in the abstract namespace (unix(7)).
        match path.as_encoded_bytes().strip_prefix(b"@") {
            Some(name) => socket.send_to_addr(word.as_bytes(), &SocketAddr::from_abstract_name(name)?),
            None => socket.send_to(word.as_bytes(), &path),
        }
    });
    if let Err(error) = told {
        tracing::warn!(%error, word, "the service manager was not told");
    }
}
