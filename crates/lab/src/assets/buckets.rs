//! The buckets of a new lab: made, versioned and encrypted through the S3 gateway, as any user of it would.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::assets::{AssetPorts, Assets, RegionAssets};
use crate::config::seaweed;
use crate::layout;
use crate::plan::{Place, Secret};
use crate::world::World;

/// The storage answers 4 s after it was started on two busy cores; this is the patience of the whole start.
const STORAGE_MAX: Duration = Duration::from_secs(100);

/// Makes each region's bucket, as soon as its storage answers.
///
/// # Errors
/// When a gateway does not take it.
pub fn make(world: &Arc<World>, assets: &Assets) -> anyhow::Result<()> {
    let secret =
        std::fs::read_to_string(layout::secret(Secret::Storage)).context("read the storage's secret")?;
    for (place, region) in &assets.regions {
        let user = format!("{}:{secret}", assets.access_key);
        let requests = requests(&assets.ports, *place, region, &user);
        for (what, request) in requests {
            // 409: the bucket was made by the request before, whose answer did not arrive.
            let right: &[&str] = if what == MAKE { &["200", "409"] } else { &["200"] };
            world.wait(&format!("{what} {}", region.bucket), STORAGE_MAX, || send(&request, right))?;
        }
        world.note(format!("the bucket {} is there: versioned, encrypted", region.bucket));
    }
    Ok(())
}

const MAKE: &str = "make the bucket";

/// What is asked for, and the requests as curl's configuration.
fn requests(
    ports: &AssetPorts,
    place: Place,
    region: &RegionAssets,
    user: &str,
) -> [(&'static str, String); 3] {
    let bucket = format!("http://{}:{}/{}", region.storage.address, ports.s3, region.bucket);
    let common = format!("user = \"{user}\"\naws-sigv4 = \"aws:amz:{}:s3\"\nmax-time = 5\n", place.name());
    let file = |name: &str| layout::conf(name).display().to_string();
    let put = |question: &str, body: &str| {
        format!("{common}url = \"{bucket}?{question}=\"\nupload-file = \"{}\"\n", file(body))
    };
    [
        (MAKE, format!("{common}url = \"{bucket}\"\nrequest = \"PUT\"\n")),
        ("version the bucket", put("versioning", seaweed::VERSIONING)),
        ("encrypt the bucket", put("encryption", seaweed::ENCRYPTION)),
    ]
}

/// The request goes in by standard input: what stands in arguments, every user of the machine can read.
fn send(request: &str, right: &[&str]) -> anyhow::Result<()> {
    let mut child = Command::new("/usr/bin/curl")
        .args(["--silent", "--show-error", "--write-out", "\n%{http_code}", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run curl")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(request.as_bytes()).context("write to curl")?;
    }
    let output = child.wait_with_output().context("wait for curl")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let (body, status) = said.rsplit_once('\n').unwrap_or(("", &said));
    anyhow::ensure!(
        right.contains(&status),
        "the S3 gateway answers {status}: {}{}",
        body.trim(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
