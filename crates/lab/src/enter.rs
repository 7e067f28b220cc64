//! Argument lists that put a process where it belongs: into a place's network, with that place's names, and with no
//! more rights than it needs.
//!
//! Every link of the chain replaces itself with the next (none forks), so the process id the caller gets is the
//! program's own, and a signal to it reaches the program.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::control;
use crate::layout;
use crate::plan::Place;

/// Puts a place's hosts and resolver files over the system's, in a mount namespace of the program's own.
const WITH_NAMES: &str =
    r#"mount --bind "$0" /etc/hosts && mount --bind "$1" /etc/resolv.conf && shift && exec "$@""#;

/// Puts an empty folder of the program's own over the system's.
const WITH_OWN_TMP: &str = r#"mount -t tmpfs -o size=1m,mode=1777 bascule /tmp && exec "$@""#;

/// Which /tmp a part sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tmp {
    /// The machine's.
    Shared,
    /// One of its own: `SeaweedFS` keeps sockets there, named by port only, and both regions' have the same ports.
    Own,
}

/// Who the lab runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privilege {
    /// Root of the machine: parts run as the user `postgres`.
    Root {
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
    /// An ordinary user, root of a user namespace: parts run in a nested one as an unprivileged user,
    /// since PostgreSQL refuses to run as root of any.
    User,
}

impl Privilege {
    /// What this process can do, read inside the lab or outside.
    ///
    /// # Errors
    /// When root has no user `postgres` to become.
    pub fn detect(rootless: bool) -> anyhow::Result<Self> {
        if rootless {
            return Ok(Self::User);
        }
        let passwd = std::fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        let fields = passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&"postgres"))
            .context("there is no user postgres; run `make setup`")?;
        let number = |at: usize| fields.get(at).and_then(|text| text.parse().ok());
        let (uid, gid) =
            number(2).zip(number(3)).context("the user postgres has no number in /etc/passwd")?;
        Ok(Self::Root { uid, gid })
    }

    /// Prefix that gives up rights before a part runs.
    fn drop_prefix(self) -> Vec<String> {
        let text = match self {
            Self::Root { uid, gid } => format!("setpriv --reuid={uid} --regid={gid} --clear-groups --"),
            Self::User => "unshare --user --map-user=1000 --map-group=1000 --".to_owned(),
        };
        text.split(' ').map(str::to_owned).collect()
    }

    /// Options that give a memory disk to the parts' user.
    #[must_use]
    pub fn mount_owner(self) -> String {
        match self {
            Self::Root { uid, gid } => format!(",uid={uid},gid={gid}"),
            Self::User => String::new(),
        }
    }

    /// Gives a file to the parts' user.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn give(self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Root { uid, gid } => std::os::unix::fs::chown(path, Some(uid), Some(gid))
                .with_context(|| format!("give {} to the parts' user", path.display())),
            Self::User => Ok(()),
        }
    }
}

/// The whole argument list of a part, to be run by the supervisor.
#[must_use]
pub fn part_command(privilege: Privilege, place: Place, tmp: Tmp, program: &[String]) -> Vec<String> {
    let conf = |file: &str| layout::conf(file).to_string_lossy().into_owned();
    let mut argv = vec!["nsenter".to_owned(), format!("--net=/run/netns/{}", place.name()), "--".to_owned()];
    argv.extend(["unshare", "--mount", "--", "sh", "-c", WITH_NAMES].map(str::to_owned));
    argv.extend([conf("hosts"), conf(&format!("resolv-{}", place.name()))]);
    match tmp {
        Tmp::Shared => {}
        Tmp::Own => argv.extend(["sh", "-c", WITH_OWN_TMP, "sh"].map(str::to_owned)),
    }
    argv.extend(privilege.drop_prefix());
    argv.extend_from_slice(program);
    argv
}

/// The prefix of a command that is to run at a place of the lab in `dir`, started by its owner from outside.
/// Append the program and its arguments with [`Command::arg`].
///
/// The program keeps the caller's rights, folder and environment, sees the machine's own files and processes, and
/// reaches the lab's addresses and names. It does not die with the lab: whoever started it ends it (`lab down`
/// ends what is left).
///
/// # Errors
/// When the place does not exist, or no lab runs in `dir`.
pub fn enter_command(dir: &Path, at: &str) -> anyhow::Result<Command> {
    let place = Place::parse(at)?;
    let dir = dir.canonicalize().with_context(|| format!("no lab in {}", dir.display()))?;
    let socket = control::connect(&dir)?;
    let peer = rustix::net::sockopt::socket_peercred(socket.as_fd()).context("ask who runs the lab")?;
    let pid = peer.pid.as_raw_nonzero();
    let mut command = if inode("/proc/self/ns/user")? == inode(&format!("/proc/{pid}/ns/user"))? {
        Command::new("nsenter")
    } else {
        // Only the lab's owner has rights in its user namespace, so root becomes the owner first.
        let mut command =
            Command::new(if rustix::process::geteuid() == peer.uid { "nsenter" } else { "setpriv" });
        if rustix::process::geteuid() != peer.uid {
            let (uid, gid) = (peer.uid.as_raw(), peer.gid.as_raw());
            command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
            command.args(["--", "nsenter"]);
        }
        command.arg(format!("--user=/proc/{pid}/ns/user")).arg("--preserve-credentials");
        command
    };
    command.arg(format!("--net=/proc/{pid}/root/run/netns/{}", place.name()));
    let conf = |file: &str| -> OsString { dir.join("conf").join(file).into_os_string() };
    command.args(["--", "unshare", "--mount", "--", "sh", "-c", WITH_NAMES]);
    command.arg(conf("hosts")).arg(conf(&format!("resolv-{}", place.name())));
    Ok(command)
}

fn inode(path: &str) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(path).with_context(|| format!("look at {path}"))?.ino())
}
