//! What only checks ask of a load balancer: what is attached to it, how full it is, and whether it takes changes.
//! Nothing here changes anything.

use bascule_core::ports::PortError;

use super::HaproxyGate;
use crate::Trial;

/// A backend and a server that are not there: whoever may not cut sessions is told so before they are looked up.
const NOWHERE: &str = "shutdown sessions server bascule_permission/none";

/// What a status can be (RFC 9110, section 15); a question that was not answered in time has the status 0.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;

/// A server as the load balancer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedAt {
    /// Its backend.
    pub backend: String,
    /// Its name there.
    pub name: String,
    /// Its address and port.
    pub address: String,
    /// Whether its checks call it up.
    pub up: bool,
    /// Whether it is checked by a question of HTTP, and not at all or by a connection alone; none while no connection
    /// can be made, which does not tell what would be asked on it.
    pub http: Option<bool>,
    /// The status that the last such question was answered.
    pub answered: Option<u16>,
    /// Whether that answer passed, by what the check expects.
    pub passed: bool,
}

/// How full a load balancer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Now.
    pub used: u64,
    /// At most.
    pub limit: u64,
}

impl HaproxyGate {
    /// The servers of all its backends.
    ///
    /// # Errors
    /// Why it did not say.
    pub async fn attached(&self) -> Result<Vec<LookedAt>, String> {
        servers(&self.command("show stat -1 4 -1").await.map_err(told)?)
    }

    /// How many connections it has, and may have.
    ///
    /// # Errors
    /// Why it did not say.
    pub async fn connections(&self) -> Result<Connections, String> {
        connections(&self.command("show info").await.map_err(told)?)
    }

    /// Whether it takes changes from us.
    ///
    /// # Errors
    /// Why that could not be tried.
    pub async fn may_change(&self) -> Result<Trial, String> {
        allowed(&self.command(NOWHERE).await.map_err(told)?)
    }
}

fn told(error: PortError) -> String {
    match error {
        PortError::Refused(why) | PortError::Unknown(why) => why,
    }
}

fn servers(show_stat: &str) -> Result<Vec<LookedAt>, String> {
    let mut lines = show_stat.lines().filter(|line| !line.trim().is_empty());
    let header = lines.next().and_then(|line| line.strip_prefix("# ")).ok_or("show stat has no header")?;
    let columns: Vec<&str> = header.split(',').collect();
    let column = |name: &str| {
        columns.iter().position(|c| *c == name).ok_or_else(|| format!("show stat has no column {name}"))
    };
    let (backend, name, status) = (column("pxname")?, column("svname")?, column("status")?);
    let (address, check, code) = (column("addr")?, column("check_status")?, column("check_code")?);
    let read = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |index: usize| cells.get(index).copied().unwrap_or_default();
        // `* L7OK` while a check is under way (management guide, section 9.1)
        let check = cell(check).trim_start_matches("* ");
        LookedAt {
            backend: cell(backend).to_owned(),
            name: cell(name).to_owned(),
            address: cell(address).to_owned(),
            up: cell(status).starts_with("UP"),
            http: match check {
                "" | "L4OK" => Some(false),
                _ if check.starts_with("L7") => Some(true),
                _ => None,
            },
            passed: matches!(check, "L7OK" | "L7OKC"),
            answered: cell(code).parse().ok().filter(|status| STATUSES.contains(status)),
        }
    };
    Ok(lines.map(read).collect())
}

fn connections(show_info: &str) -> Result<Connections, String> {
    let number = |key: &str| {
        let mut values = show_info.lines().filter_map(|line| line.split_once(": "));
        let found = values.find(|(name, _)| *name == key).and_then(|(_, value)| value.trim().parse().ok());
        found.ok_or_else(|| format!("show info has no {key}"))
    };
    Ok(Connections { used: number("CurrConns")?, limit: number("Maxconn")? })
}

/// HAProxy looks at the level before it looks for the server (management guide, section 9.3).
fn allowed(answer: &str) -> Result<Trial, String> {
    let answer = answer.trim();
    if answer.contains("Permission denied") {
        return Ok(Trial::Refused {
            why: "HAProxy says: permission denied; the socket needs `level admin`".to_owned(),
        });
    }
    if answer.to_ascii_lowercase().contains("no such") {
        return Ok(Trial::Granted);
    }
    Err(format!("HAProxy answers {answer:?} to a change that changes nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_with_what_their_last_check_was_answered() {
        let text = "# pxname,svname,status,check_status,check_code,addr,\n\
            web,app1,UP,L7OK,200,10.77.1.31:8080,\nweb,app2,DOWN,* L7STS,401,10.77.1.32:8080,\n\
            db_remote,west,no check,,,10.77.2.20:5433,\ndb,db1,DOWN,L4CON,,10.77.1.11:5432,\n\
            web,app3,UP,L7TOUT,0,10.77.1.33:8080,\ndb,db2,UP,L4OK,,10.77.1.12:5432,\n";
        let seen = servers(text).unwrap();
        assert_eq!((seen[0].up, seen[0].http, seen[0].answered), (true, Some(true), Some(200)));
        assert_eq!((seen[1].up, seen[1].http, seen[1].answered), (false, Some(true), Some(401)));
        assert_eq!((seen[2].up, seen[2].http, seen[2].answered), (false, Some(false), None));
        assert_eq!((seen[3].http, seen[3].address.as_str()), (None, "10.77.1.11:5432"));
        assert_eq!((seen[4].http, seen[4].answered), (Some(true), None), "0 is no status");
        assert_eq!(seen[5].http, Some(false), "a connection alone");
        assert!(servers("nonsense").is_err() && servers("# pxname,svname\n").is_err());
    }

    #[test]
    fn a_level_that_is_too_low_is_a_refusal_and_any_other_word_is_no_answer() {
        assert_eq!(allowed("No such backend.\n"), Ok(Trial::Granted));
        assert!(matches!(allowed("Permission denied\n"), Ok(Trial::Refused { .. })));
        assert!(allowed("").is_err());
        let info = "Name: HAProxy\nMaxconn: 4000\nCurrConns: 12\n";
        assert_eq!(connections(info), Ok(Connections { used: 12, limit: 4000 }));
        assert!(connections("Maxconn: 1").is_err());
    }
}
