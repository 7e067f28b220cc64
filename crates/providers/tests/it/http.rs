//! An HTTP server of make-believe: it gives every request the same answer.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answer every request with a status and a body, until the test ends.
pub async fn serve(answer: impl Fn() -> (&'static str, String) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut session, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                // The request comes in one piece, and all requests are alike.
                let _bytes = session.read(&mut [0; 4096]).await?;
                let (status, body) = answer();
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
                     connection: close\r\n\r\n"
                );
                session.write_all(format!("{head}{body}").as_bytes()).await
            });
        }
    });
    address
}
